"""File, or a variant's name -> a trunk with its weights, and the features of images."""

import os
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from selfpatch.backbones.families import State
from selfpatch.backbones.file import SUMMARY, BackboneInfo, read_backbone, trunk_weights
from selfpatch.errors import InputError
from selfpatch.models.heads import AggregationHead
from selfpatch.models.networks import features_of
from selfpatch.models.trunks import Trunk, build_trunk, trunk_from


def load_backbone(
    path: str | os.PathLike[str], device: str | torch.device | None = "cpu"
) -> tuple[Trunk, BackboneInfo]:
    """Build the trunk that a file describes, with its weights, in evaluation mode.

    Args:
        path: See :func:`selfpatch.backbones.file.read_file`.
        device: Where to; None is a GPU where there is one.
    """
    state, info = read_backbone(path)
    return trunk_of(info, state, device or available_device()), info


def available_device() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def trunk_of(info: BackboneInfo, state: State, device: str | torch.device = "cpu") -> Trunk:
    """The trunk of a file that was read, on a device, in evaluation mode."""
    trunk = trunk_from(info.architecture)
    trunk.load_state_dict(trunk_weights(state))
    try:
        return trunk.to(device).eval()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the device {device} cannot be used ({reason}); try cpu") from None


def random_backbone(variant: str, seed: int) -> tuple[State, BackboneInfo]:
    """Weights as training begins with them: what a backbone is worth that has learned nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trunk: Trunk = build_trunk(variant)
    source = f"random:{variant}"
    settings = {"weights": source}
    method = "colours" if variant == "colours" else "random"
    info = BackboneInfo(trunk.architecture, method, source, seed=seed, settings=settings)
    return trunk.state_dict(), info


def load_network(
    path: str | os.PathLike[str], device: str | torch.device = "cpu"
) -> tuple[Trunk, AggregationHead | None, BackboneInfo]:
    """The trunk of a backbone, and SelfPatch's aggregation head where the file keeps it."""
    state, info = read_backbone(path)
    trunk = trunk_of(info, state, device)
    summary = {
        name.removeprefix(SUMMARY): value
        for name, value in state.items()
        if name.startswith(SUMMARY)
    }
    if not summary:
        return trunk, None, info
    heads = info.architecture["num_heads"]  # of a Swin, one number per stage
    head = AggregationHead(trunk.embed_dim, heads[-1] if isinstance(heads, list) else heads)
    norm = {f"norm.{name}": value for name, value in trunk.norm.state_dict().items()}
    head.load_state_dict({**summary, **norm})
    return trunk, head.to(device).eval(), info


def load_features(
    path: str | os.PathLike[str], device: str | torch.device = "cpu"
) -> tuple[Callable[[Tensor], tuple[Tensor, Tensor]], BackboneInfo]:
    """What a backbone makes of images: the features of each whole image, and of its patches.

    The image's are those that k-NN reads while a run trains: the aggregation head's summary for
    SelfPatch, whose head is kept in the file, else the [CLS] token or the mean of the patches.

    Returns:
        Images (B, 3, H, W) -> (B, D) and (B, N, D); and what the backbone is.
    """
    trunk, head, info = load_network(path, device)
    return partial(features_of, trunk, head), info
