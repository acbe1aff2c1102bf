"""``--weights`` -> what stands for whole images; names of folders of labelled images."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from selfpatch.commands.parser import positive

if TYPE_CHECKING:
    from torch import Tensor

    from selfpatch.backbones.file import BackboneInfo
    from selfpatch.data.labelled import LabelledImages
    from selfpatch.models.heads import AggregationHead
    from selfpatch.models.trunks import Trunk


class Network(NamedTuple):
    """A backbone, as probes of whole images read it.

    Attributes:
        trunk: The trunk.
        head: SelfPatch's aggregation head, if the file keeps one.
        info: What it is.
        device: Where it is.
        normalised: uint8 images (B, 3, H, W) -> what the trunk takes, there.
    """

    trunk: "Trunk"
    head: "AggregationHead | None"
    info: "BackboneInfo"
    device: str
    normalised: Callable[["Tensor"], "Tensor"]

    def summary(self, normalised: "Tensor") -> "Tensor":
        """What stands for normalised images (B, 3, H, W), as k-NN reads it: fp32 (B, D)."""
        from selfpatch.models.networks import features_of

        return features_of(self.trunk, self.head, normalised)[0].float()


def network(args: argparse.Namespace) -> Network:
    """The backbone of ``--weights``.

    Raises:
        InputError: It is none, or ``--size`` is less than one patch of it.
    """
    import torch

    from selfpatch.backbones.loading import available_device, load_network
    from selfpatch.errors import InputError

    device = args.device or available_device()
    trunk, head, info = load_network(args.weights, device)
    if args.size < trunk.patch_size:
        raise InputError(
            f"images of {args.size} pixels are less than a patch of {trunk.patch_size};"
            " give a larger --size"
        )
    mean, std = (
        255 * torch.tensor(values, device=device).view(3, 1, 1)
        for values in (trunk.mean, trunk.std)
    )
    return Network(
        trunk, head, info, device, lambda images: (images.to(device).float() - mean) / std
    )


def add_labelled(parser: argparse.ArgumentParser) -> None:
    """Add where labelled images are."""
    parser.add_argument("--train", required=True, metavar="DIR", help="CLASS/IMAGE to learn from")
    parser.add_argument("--val", required=True, metavar="DIR", help="CLASS/IMAGE to classify")
    parser.add_argument("--size", type=positive, default=224, help="side of the images, in pixels")


def name_of(train: str) -> str:
    """The data set's name in a task's: of the folder in which the training images' folder lies."""
    return Path(train).resolve().parent.name or "images"


def learned_from(images: "LabelledImages") -> dict[str, object]:
    """What of the training images changes a number, for a results file."""
    from selfpatch.results.file import described_data

    learned = described_data("", images.names(), "images")
    return {
        "classes": images.num_classes,
        "training images": learned["count"],
        "names of the training images": learned["names"],
    }
