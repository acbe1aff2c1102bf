"""Frozen patch map -> classes: batch norm and one linear map, for mmsegmentation."""

from typing import Any

from mmcv.cnn import build_norm_layer
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class LinearHead(BaseDecodeHead):
    """DINOv2's linear evaluation: each patch's class is linear in its normalised features.

    The batch norm evens out the scales of different backbones' features, so that one learning rate
    serves all; at test time it is linear as well.

    Args:
        in_channels: Channels of the map.
        norm_cfg: Which batch norm.
        **options: Further arguments of mmsegmentation's ``BaseDecodeHead``.
    """

    def __init__(self, in_channels: int, norm_cfg: dict[str, Any], **options: Any) -> None:
        super().__init__(
            in_channels,
            channels=in_channels,
            dropout_ratio=0.0,
            norm_cfg=norm_cfg,
            align_corners=False,
            **options,
        )
        self.norm = build_norm_layer(norm_cfg, in_channels)[1]

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Maps, of which ``in_index`` (B, C, rows, columns) -> (B, classes, rows, columns)."""
        return self.cls_seg(self.norm(self._transform_inputs(inputs)))
