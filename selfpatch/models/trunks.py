"""Variant's name or stored architecture -> trunk, and what every trunk has."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from selfpatch.errors import InputError
from selfpatch.models.colours import ColourHistogram
from selfpatch.models.resnet import ResNet
from selfpatch.models.swin import Swin
from selfpatch.models.timm_trunk import TimmTrunk
from selfpatch.models.variants import VARIANTS
from selfpatch.models.vit import VisionTransformer


class Trunk(Protocol):
    """A network from images to tokens or maps, without any head: a ViT, a Swin, a ResNet or
    a network of timm.

    Its layers are the blocks of a ViT, the stages of a Swin or ResNet, counted from 0.

    Attributes:
        architecture: What :func:`trunk_from` builds the same trunk from.
        embed_dim: Width D of the tokens after the last layer.
        patch_size: Pixels from one of these tokens to the next.
        num_prefix_tokens: Tokens before the patches, such as [CLS].
        mean: Mean of the images that it takes, per channel, in units of 0-1.
        std: Their standard deviation; images are normalised by both before they come in.
    """

    architecture: dict[str, Any]
    embed_dim: int
    patch_size: int
    num_prefix_tokens: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def norm(self) -> nn.Module:
        """What the caller applies to the last tokens; an identity in a trunk without final norm."""

    @property
    def num_layers(self) -> int:
        """How many layers there are."""

    @property
    def layer_dims(self) -> tuple[int, ...]:
        """Channels of each layer's map."""

    @property
    def layer_strides(self) -> tuple[int, ...]:
        """Pixels from one place of each layer's map to the next."""

    @property
    def correspondence_layer(self) -> int:
        """The layer whose features tell best which places of two images belong together."""

    @property
    def blocks(self) -> Iterable[nn.Module]:
        """Transformer or residual blocks, in the order in which they run."""

    def grid(self, images: Tensor) -> tuple[int, int]:
        """(rows, columns) of the last layer's tokens for ``images`` (B, 3, H, W)."""

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> tokens (B, prefix + rows * columns, D), before any final norm."""

    def layer_maps(self, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """Images (B, 3, H, W) -> maps (B, layer_dims[i], rows_i, columns_i), i in ``indices``.

        ``indices`` rise; layers after the last one asked for do not run.
        """

    # A trunk is an nn.Module, which a protocol can say method by method only: those in use.

    def to(self, device: str | torch.device, /) -> Self:
        """Move to a device, as every nn.Module does."""

    def eval(self) -> Self:
        """Switch to evaluation mode, as every nn.Module does."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """What is trained, as of every nn.Module."""

    def state_dict(self) -> dict[str, Tensor]:
        """Names and values of the weights, as of every nn.Module."""

    def load_state_dict(self, state_dict: Mapping[str, Any], /) -> Any:
        """Take over weights, strictly, as every nn.Module does."""


Transformer = VisionTransformer | Swin
"""What can be pretrained here."""

FAMILIES: dict[str, Any] = {
    "vit": VisionTransformer, "swin": Swin, "resnet": ResNet, "timm": TimmTrunk,
    "colours": ColourHistogram,
}  # fmt: skip


def build_trunk(variant: str = "vit_small", **overrides: Any) -> Any:
    """Build a trunk by a name of :data:`selfpatch.models.variants.VARIANTS`.

    Args:
        variant: The name.
        overrides: Arguments of its class, in the place of the variant's.

    Returns:
        A :class:`Trunk`, and more than that: which class it is, the variant's name decides.

    Raises:
        InputError: There is no such variant.
    """
    if variant not in VARIANTS:
        raise InputError(f"there is no variant {variant!r}; choose from {', '.join(VARIANTS)}")
    return trunk_from({**VARIANTS[variant], **overrides})


def trunk_from(architecture: dict[str, Any]) -> Trunk:
    """Build the trunk that a backbone file describes: the inverse of ``trunk.architecture``."""
    arguments = dict(architecture)
    return FAMILIES[arguments.pop("family")](**arguments)
