"""View -> tokens: the Swin Transformer trunk, timm's blocks without their classifier."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn

from selfpatch.errors import InputError
from selfpatch.models.vit import IMAGENET_MEAN, IMAGENET_STD


class Swin(nn.Module):
    """Swin Transformer whose tokens are those of the last stage; views of any size.

    Stages whose grid does not divide into windows are padded, as in timm.

    Args:
        embed_dim: Width of the first stage; the last one is 8 times as wide.
        depths: Blocks per stage.
        num_heads: Attention heads per stage.
        window_size: Side of a window, in tokens.
        image_size: Side that the relative positions are laid out for; it stores no positions.
        final_norm: Own a LayerNorm for the last tokens; applied by the caller.
        mean: Mean of the images it was trained on, see :class:`VisionTransformer`.
        std: Their standard deviation.
        drop_path_rate: Stochastic depth, rising linearly to this rate.
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
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.architecture: dict[str, Any] = {
            "family": "swin",
            "embed_dim": embed_dim,
            "depths": list(depths),
            "num_heads": list(num_heads),
            "window_size": window_size,
            "image_size": image_size,
            "final_norm": final_norm,
            "mean": list(mean),
            "std": list(std),
        }
        self.mean, self.std = tuple(mean), tuple(std)
        self.embed_dim = embed_dim * 2 ** (len(depths) - 1)
        self.num_heads = num_heads[-1]
        self.num_layers = len(depths)
        self.layer_dims = tuple(embed_dim * 2**index for index in range(len(depths)))
        self.layer_strides = tuple(4 * 2**index for index in range(len(depths)))
        self.correspondence_layer = len(depths) - 1
        swin = SwinTransformer(
            img_size=image_size,
            embed_dim=embed_dim,
            depths=tuple(depths),
            num_heads=tuple(num_heads),
            window_size=window_size,
            strict_img_size=False,
            num_classes=0,
            drop_path_rate=drop_path_rate,
        )
        self.patch_embed, self.layers = swin.patch_embed, swin.layers
        self.norm = nn.LayerNorm(self.embed_dim, eps=1e-5) if final_norm else nn.Identity()

    @property
    def blocks(self) -> list[nn.Module]:
        """The transformer blocks of all stages."""
        return [block for stage in self.layers for block in stage.blocks]

    def grid(self, images: Tensor) -> tuple[int, int]:
        """(rows, columns) of the last stage's tokens for ``images`` (B, 3, H, W).

        Raises:
            InputError: The images' sides are not multiples of the patch size of 32.
        """
        height, width = images.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise InputError(f"Swin takes sides that are multiples of 32, not {height}x{width}")
        return height // self.patch_size, width // self.patch_size

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> last stage's tokens (B, rows * columns, D), before any norm."""
        self.grid(images)
        return self.layers(self.patch_embed(images)).flatten(1, 2)

    def layer_maps(self, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """Images (B, 3, H, W) -> the map (B, layer_dims[i], rows, columns) after each stage asked.

        Stages are counted from 0, in rising order; those after the last one asked for do not run.
        Images are padded with zeros, at the right and at the bottom, to multiples of 4; timm pads
        the maps within.
        """
        height, width = images.shape[-2:]
        maps, tokens = [], self.patch_embed(F.pad(images, (0, -width % 4, 0, -height % 4)))
        for index, stage in enumerate(self.layers[: max(indices) + 1]):
            tokens = stage(tokens)
            if index in indices:
                maps.append(tokens.permute(0, 3, 1, 2))
        return maps
