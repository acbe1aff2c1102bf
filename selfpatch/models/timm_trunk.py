"""View -> maps and tokens: any network of timm that gives its layers' maps."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import timm
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from selfpatch.errors import InputError
from selfpatch.models.vit import IMAGENET_MEAN, IMAGENET_STD

ANY_SIZE: list[dict[str, Any]] = [{"dynamic_img_size": True}, {"strict_img_size": False}, {}]
"""What timm calls the option by which a network takes images of any size; the first that it has."""


ABOUT_FILES = {
    "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"
}  # fmt: skip
"""What timm would read files for, were it given to it."""

MOST_BLOCKS = 1000
"""Deeper networks are taken for a damaged or hostile file's."""

POOLING = ("fc_norm", "attn_pool", "head", "head_dist", "fc", "classifier")
"""What timm calls the parts of a network that follow its maps."""


class TimmTrunk(nn.Module):
    """A network of timm, for what is no ViT, Swin or ResNet of this suite.

    Its layers are those that timm's ``feature_info`` lists; its tokens are the last one's map.

    Args:
        name: What timm calls the architecture.
        options: Further arguments of it.
        mean: Mean of the images it was trained on, see :class:`VisionTransformer`.
        std: Their standard deviation.

    Raises:
        InputError: timm has no such network, or it does not give its layers' maps.
    """

    num_prefix_tokens = 0

    def __init__(
        self,
        *,
        name: str,
        options: dict[str, Any] | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.architecture: dict[str, Any] = {
            "family": "timm",
            "name": name,
            "options": dict(options or {}),
            "mean": list(mean),
            "std": list(std),
        }
        self.mean, self.std = tuple(mean), tuple(std)
        self.model: Any = timm_model(name, self.architecture["options"])
        if not hasattr(self.model, "forward_intermediates"):
            raise InputError(f"timm's {name} does not give its layers' maps")
        for part in POOLING:
            if hasattr(self.model, part):
                setattr(self.model, part, nn.Identity())
        layers = self.model.feature_info
        self.num_layers = len(layers)
        self.layer_dims = tuple(layer["num_chs"] for layer in layers)
        self.layer_strides = tuple(layer["reduction"] for layer in layers)
        self.embed_dim, self.patch_size = self.layer_dims[-1], self.layer_strides[-1]

    @property
    def correspondence_layer(self) -> int:
        """The last layer with a place every 16 pixels or more often, as far as a ViT's patches."""
        fine = [i for i, stride in enumerate(self.layer_strides) if stride <= 16]
        return fine[-1] if fine else self.num_layers - 1

    @property
    def norm(self) -> nn.Module:
        """The network's last LayerNorm, if it has one."""
        norm = getattr(self.model, "norm", None)
        if not isinstance(norm, nn.LayerNorm) or isinstance(norm, LayerNorm2d):
            return nn.Identity()
        return norm if norm.normalized_shape == (self.embed_dim,) else nn.Identity()

    @property
    def blocks(self) -> Iterable[nn.Module]:
        """The transformer blocks, or whatever each layer ends with."""
        if hasattr(self.model, "blocks"):
            return self.model.blocks
        return [self.model.get_submodule(layer["module"]) for layer in self.model.feature_info]

    def grid(self, images: Tensor) -> tuple[int, int]:
        """(rows, columns) of the last layer's map for ``images`` (B, 3, H, W)."""
        height, width = images.shape[-2:]
        flat = len(set(self.layer_strides)) == 1  # a ViT's patches are whole
        rest = 0 if flat else self.patch_size - 1
        return (height + rest) // self.patch_size, (width + rest) // self.patch_size

    def layer_maps(self, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """Images (B, 3, H, W) -> the map (B, layer_dims[i], rows, columns) after each layer asked.

        Layers are counted from 0, in rising order; those after the last one asked for do not run.
        """
        return self.model.forward_intermediates(
            images, indices=list(indices), norm=False, stop_early=True, output_fmt="NCHW",
            intermediates_only=True,
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> the last layer's tokens (B, rows * columns, D), before a norm."""
        (last,) = self.layer_maps(images, [self.num_layers - 1])
        return last.flatten(2).transpose(1, 2)


def timm_model(name: str, options: dict[str, Any]) -> Any:
    """A network of timm without weights and classifier, for images of any size if it can be.

    Raises:
        InputError: timm has none of this name.
    """
    if not timm.is_model(name):
        raise InputError(f"timm {timm.__version__} has no network called {name!r}")
    given = {key: value for key, value in options.items() if key != "num_classes"}
    if foreign := sorted(ABOUT_FILES & set(given)):
        raise InputError(f"{foreign[0]} is no option of a network's architecture")
    if any(np.sum(given.get(key, 0)) > MOST_BLOCKS for key in ("depth", "depths", "layers")):
        raise InputError(f"a network of more than {MOST_BLOCKS} blocks is not built")
    for any_size in ANY_SIZE:
        try:
            return timm.create_model(name, pretrained=False, num_classes=0, **given, **any_size)
        except TypeError as error:
            if not any_size or next(iter(any_size)) not in str(error):
                raise
    raise AssertionError("the last way has no option that could be refused")
