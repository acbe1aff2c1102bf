"""Patch maps -> maps of the strides that detectors and segmenters expect."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from timm.layers import LayerNorm2d
from torch import Tensor, nn

MODELS.register_module("LN2d", module=LayerNorm2d)


class ToStride(nn.Module):
    """A map of one token per patch -> a map of a given stride.

    Upwards by deconvolutions, each doubling the size, downwards by max-pooling; between a patch
    size and a stride that are no power of two apart, bilinearly.

    Args:
        embed_dim: Channels, in and out.
        patch_size: Stride of the input, in pixels.
        stride: Stride of the output, in pixels.
        norm_cfg: Normalisation between two deconvolutions.
    """

    def __init__(
        self, embed_dim: int, patch_size: int, stride: int, norm_cfg: dict[str, Any]
    ) -> None:
        super().__init__()
        self.stride = stride
        doublings = math.log2(patch_size / stride)
        self.bilinear = not doublings.is_integer()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if not self.bilinear and doublings < 0:
            layers["pool"] = nn.MaxPool2d(stride // patch_size, ceil_mode=True)
        for index in range(0 if self.bilinear else max(int(doublings), 0)):
            if index:  # the recipes know norms, which do not decay, by their name
                layers[f"norm{index}"] = build_norm_layer(norm_cfg, embed_dim)[1]
                layers[f"act{index}"] = nn.GELU()
            layers[f"up{index}"] = nn.ConvTranspose2d(embed_dim, embed_dim, 2, stride=2)
        self.layers = nn.Sequential(layers)

    def forward(self, patches: Tensor, image_size: tuple[int, int]) -> Tensor:
        """(B, D, rows, columns) -> (B, D, ceil(H / stride), ceil(W / stride))."""
        height, width = (math.ceil(side / self.stride) for side in image_size)
        if self.bilinear:
            return F.interpolate(patches, (height, width), mode="bilinear")
        # What lies beyond the image comes from padding it to whole patches.
        return self.layers(patches)[..., :height, :width]


@MODELS.register_module()
class SimplePyramid(BaseModule):
    """ViTDet's neck: each level for itself through a 1x1 and a 3x3 convolution with LayerNorm.

    The levels come from one map, so no top-down path joins them. One more level is the last one
    subsampled, as FPN does for the region proposals (Li et al., "Exploring plain vision transformer
    backbones for object detection", Sec. 3).

    Args:
        in_channels: Channels of each level.
        out_channels: Channels of every level that goes out.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int = 256) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, out_channels, 1, bias=False),
                LayerNorm2d(out_channels),
                nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
                LayerNorm2d(out_channels),
            )
            for channels in in_channels
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps (B, C_i, H_i, W_i) -> as many of ``out_channels``, and one of half the last size."""
        levels = [level(patches) for level, patches in zip(self.levels, maps, strict=True)]
        return (*levels, F.max_pool2d(levels[-1], 1, stride=2))
