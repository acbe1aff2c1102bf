"""View -> tokens: the Swin Transformer trunk."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import PatchEmbed
from timm.models.swin_transformer import (
    PatchMerging,
    SwinTransformerBlock,
    window_partition,
    window_reverse,
)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from selfpatch.errors import InputError
from selfpatch.models.vit import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    drop_path_rates,
    init_transformer_weights,
)

SMALL_GRIDS = ("unshifted", "by side", "shifted")


class Swin(nn.Module):
    """Swin Transformer whose tokens are those of the last stage; views of any size.

    There are several ways to compute with the same weights. They differ where a side of a stage's
    grid is no longer than a window: its authors' classifier and the self-supervised code after it
    leave the windows of such a stage unshifted (Swin-Transformer, ``models/swin_transformer.py``;
    at 224 pixels that is the last stage), torchvision and timm leave them so along that side, the
    authors' detector, and with it mmdetection and mmsegmentation, shifts every second block
    whatever the grid.

    Args:
        embed_dim: Width of the first stage; the last one is 8 times as wide.
        depths: Blocks per stage.
        num_heads: Attention heads per stage.
        window_size: Side of a window, in tokens.
        image_size: Side of the image it is laid out for; a stage whose grid is smaller than a
            window there has windows of the size of that grid. It stores no positions.
        final_norm: Own a LayerNorm for the last tokens; applied by the caller.
        norm_eps: Added to the variance in every LayerNorm; iBOT and EsViT add 1e-6.
        small_grids: Whether windows are shifted where a side of the grid is no longer than one:
            ``unshifted``, ``shifted``, or ``by side``, that is, along the other side alone.
        mean: Mean of the images it was trained on, see :class:`VisionTransformer`.
        std: Their standard deviation.
        drop_path_rate: Stochastic depth, rising linearly to this rate.
        always_shift: Compute as if ``small_grids`` were ``shifted``, as the hosts do.
        activation_checkpointing: Recompute each block in the backward pass to save memory.
    """

    num_prefix_tokens = 0
    patch_size = 32
    """Pixels per token of the last stage."""

    def __init__(
        self,
        *,
        embed_dim: int,
        depths: tuple[int, ...],
        num_heads: tuple[int, ...],
        window_size: int = 7,
        image_size: int = 224,
        final_norm: bool = False,
        norm_eps: float = 1e-5,
        small_grids: str = "unshifted",
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        drop_path_rate: float = 0.0,
        always_shift: bool = False,
        activation_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if small_grids not in SMALL_GRIDS:
            raise InputError(f"small_grids is one of {SMALL_GRIDS}, not {small_grids!r}")
        self.architecture: dict[str, Any] = {
            "family": "swin",
            "embed_dim": embed_dim,
            "depths": list(depths),
            "num_heads": list(num_heads),
            "window_size": window_size,
            "image_size": image_size,
            "final_norm": final_norm,
            "norm_eps": norm_eps,
            "small_grids": small_grids,
            "mean": list(mean),
            "std": list(std),
        }
        self.mean, self.std = tuple(mean), tuple(std)
        self.embed_dim = embed_dim * 2 ** (len(depths) - 1)
        self.num_heads = num_heads[-1]
        self.num_layers = len(depths)
        self.layer_dims = tuple(embed_dim * 2**index for index in range(len(depths)))
        self.layer_strides = tuple(4 * 2**index for index in range(len(depths)))
        # Places 16 pixels apart, as far as a ViT's patches; 32 are too few to track with.
        self.correspondence_layer = max(len(depths) - 2, 0)

        norm_layer = partial(nn.LayerNorm, eps=norm_eps)
        self.patch_embed = PatchEmbed(
            None, 4, embed_dim=embed_dim, norm_layer=norm_layer, output_fmt="NHWC"
        )
        rates = iter(drop_path_rates(drop_path_rate, sum(depths)))
        self.layers: Any = nn.Sequential(
            *(
                SwinStage(
                    dim,
                    heads,
                    min(window_size, max(image_size // stride, 1)),
                    [next(rates) for _ in range(depth)],
                    norm_layer,
                    "shifted" if always_shift else small_grids,
                    activation_checkpointing,
                    first=index == 0,
                )
                for index, (dim, heads, stride, depth) in enumerate(
                    zip(self.layer_dims, num_heads, self.layer_strides, depths, strict=True)
                )
            )
        )
        self.layers.apply(init_transformer_weights)
        self.norm = norm_layer(self.embed_dim) if final_norm else nn.Identity()

    @property
    def blocks(self) -> list[nn.Module]:
        """The transformer blocks of all stages."""
        return [block for stage in self.layers for block in stage.blocks]

    def grid(self, images: Tensor) -> tuple[int, int]:
        """(rows, columns) of the last stage's tokens for ``images`` (B, 3, H, W)."""
        height, width = images.shape[-2:]
        return -(-height // self.patch_size), -(-width // self.patch_size)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> last stage's tokens (B, rows * columns, D), before any norm.

        Padded as :meth:`layer_maps` says.
        """
        (last,) = self.layer_maps(images, [self.num_layers - 1])
        return last.flatten(2).transpose(1, 2)

    def layer_maps(self, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """Images (B, 3, H, W) -> the map (B, layer_dims[i], rows, columns) after each stage asked.

        Stages are counted from 0, in rising order; those after the last one asked for do not run.
        Images are padded with zeros, at the right and at the bottom, to multiples of 4, and the
        maps within to whole windows.
        """
        height, width = images.shape[-2:]
        maps, tokens = [], self.patch_embed(F.pad(images, (0, -width % 4, 0, -height % 4)))
        for index, stage in enumerate(self.layers[: max(indices) + 1]):
            tokens = stage(tokens)
            if index in indices:
                maps.append(tokens.permute(0, 3, 1, 2))
        return maps


class SwinStage(nn.Module):
    """Halve the grid, except in the first stage, and run blocks with and without a shift in turns.

    Args:
        dim: Channels C.
        num_heads: Attention heads.
        window_size: Side of a window, in tokens.
        drop_path_rates: Stochastic depth of each block.
        norm_layer: What makes a LayerNorm of so many channels.
        small_grids: See :class:`Swin`.
        activation_checkpointing: See :class:`Swin`.
        first: Whether this is the first stage.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: int,
        drop_path_rates: Sequence[float],
        norm_layer: Callable[[int], nn.Module],
        small_grids: str,
        activation_checkpointing: bool,
        first: bool,
    ) -> None:
        super().__init__()
        self.downsample = (
            nn.Identity() if first else PatchMerging(dim // 2, dim, norm_layer=norm_layer)
        )
        self.blocks = nn.Sequential(
            *(
                ShiftedWindowBlock(
                    dim,
                    num_heads,
                    window_size,
                    index % 2 == 1,
                    rate,
                    norm_layer,
                    small_grids,
                )
                for index, rate in enumerate(drop_path_rates)
            )
        )
        self.activation_checkpointing = activation_checkpointing

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, rows, columns, C_in) -> (B, rows / 2, columns / 2, C), rounded up."""
        tokens = self.downsample(tokens)
        for block in self.blocks:
            if self.activation_checkpointing and self.training:
                tokens = checkpoint(block, tokens, use_reentrant=False)
            else:
                tokens = block(tokens)
        return tokens


class ShiftedWindowBlock(SwinTransformerBlock):
    """timm's block, with the grid padded to whole windows before it is rolled, as Swin's code does.

    timm rolls first: where the grid is no multiple of the window, the image's first rows then lie
    beside its last ones, inside one window that no mask divides.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: int,
        shifted: bool,
        drop_path_rate: float,
        norm_layer: Callable[[int], nn.Module],
        small_grids: str,
    ) -> None:
        super().__init__(
            dim, (window_size, window_size), num_heads,
            window_size=window_size, drop_path=drop_path_rate, norm_layer=norm_layer,
        )  # fmt: skip
        self.side = window_size
        self.shift = window_size // 2 if shifted else 0
        self.small_grids = small_grids

    def _attn(self, tokens: Tensor) -> Tensor:
        """Attention within windows, (B, rows, columns, C) in and out."""
        rows, columns = tokens.shape[1:3]
        tokens = F.pad(tokens, (0, 0, 0, -columns % self.side, 0, -rows % self.side))
        rows_padded, columns_padded = tokens.shape[1:3]
        down, right = self.shifts(rows_padded, columns_padded)
        mask = None
        if down or right:
            tokens = tokens.roll((-down, -right), (1, 2))
            mask = shift_mask(rows_padded, columns_padded, self.side, (down, right)).to(tokens)
        windows = window_partition(tokens, self.window_size).flatten(1, 2)
        windows = self.attn(windows, mask=mask)
        windows = windows.unflatten(1, self.window_size)
        tokens = window_reverse(windows, self.window_size, rows_padded, columns_padded)
        if down or right:
            tokens = tokens.roll((down, right), (1, 2))
        return tokens[:, :rows, :columns].contiguous()

    def shifts(self, rows: int, columns: int) -> tuple[int, int]:
        """How far the windows of a grid of whole ones are shifted down and to the right."""
        moved = [side > self.side or self.small_grids == "shifted" for side in (rows, columns)]
        if self.small_grids == "unshifted":
            moved = [all(moved)] * 2
        return self.shift * moved[0], self.shift * moved[1]


def shift_mask(rows: int, columns: int, window_size: int, shift: tuple[int, int]) -> Tensor:
    """What to add to the attention within each window of a rolled grid: (windows, w * w, w * w).

    Zero between places that were neighbours before the grid was rolled, and -100 between those
    that only the roll brought together.
    """
    down, right = (
        (torch.arange(side) >= side - window_size).int() + (torch.arange(side) >= side - one)
        for side, one in zip((rows, columns), shift, strict=True)
    )
    region = (3 * down[:, None] + right).view(1, rows, columns, 1)
    windows = window_partition(region, (window_size, window_size)).flatten(1)
    return -100.0 * (windows[:, None] != windows[:, :, None])
