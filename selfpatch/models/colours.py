"""View -> a histogram of the colours of each patch: what a trunk is worth that learned nothing."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class ColourHistogram(nn.Module):
    """The share of each colour in a patch's pixels, a floor for every measure of patches.

    Args:
        patch_size: Side of a patch, in pixels.
        levels: Levels per channel; there are their number to the power of three colours.
        mean: Taken from the images, see :class:`VisionTransformer`; nothing.
        std: What they are divided by, likewise.
    """

    num_prefix_tokens = 0
    num_layers = 1
    correspondence_layer = 0

    def __init__(
        self,
        *,
        patch_size: int = 16,
        levels: int = 4,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__()
        self.patch_size, self.levels, self.embed_dim = patch_size, levels, levels**3
        self.architecture: dict[str, Any] = {
            "family": "colours",
            "patch_size": patch_size,
            "levels": levels,
            "mean": list(mean),
            "std": list(std),
        }
        self.mean, self.std = tuple(mean), tuple(std)
        self.layer_dims, self.layer_strides = (self.embed_dim,), (patch_size,)
        self.blocks: tuple[nn.Module, ...] = ()
        self.norm = nn.Identity()
        edges = torch.arange(1, levels) / levels
        self.edges = nn.Parameter(edges, requires_grad=False)
        """fp32 (levels - 1,), where one level ends and the next begins."""

    def grid(self, images: Tensor) -> tuple[int, int]:
        """(rows, columns) of the whole patches of ``images`` (B, 3, H, W)."""
        height, width = images.shape[-2:]
        return height // self.patch_size, width // self.patch_size

    def layer_maps(self, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """Images (B, 3, H, W) -> the one map there is (B, colours, rows, columns)."""
        rows, columns = self.grid(images)
        tokens = self(images)
        return [tokens.transpose(1, 2).unflatten(2, (rows, columns)) for _ in indices]

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> shares (B, rows * columns, colours), which add up to 1."""
        rows, columns = self.grid(images)
        whole = images[..., : rows * self.patch_size, : columns * self.patch_size].contiguous()
        red, green, blue = torch.bucketize(whole, self.edges, right=True).unbind(1)
        colours = (red * self.levels + green) * self.levels + blue
        tiles = colours.unflatten(1, (rows, self.patch_size))
        tiles = (
            tiles.unflatten(3, (columns, self.patch_size)).transpose(2, 3).flatten(3).flatten(1, 2)
        )
        counts = images.new_zeros(*tiles.shape[:2], self.embed_dim)
        counts.scatter_add_(2, tiles, torch.ones_like(tiles, dtype=images.dtype))
        return counts / self.patch_size**2
