"""Cascade Mask R-CNN with FPN on a SelfPatch ViT-S/16, COCO, 1x.

Command:  COCO_ROOT=DIR selfpatch finetune \
              cascade-mask-rcnn_selfpatch-vit-s16_fpn_1x_coco \
              --cfg-options model.backbone.init_cfg.checkpoint=BACKBONE
Source:   mmdetection's Cascade Mask R-CNN with the recipe of mask-rcnn_selfpatch-vit-s16.
Expect:   No published number.
"""

_base_ = [
    "mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py",
    "_base_/vit-s16.py",
    "_base_/coco_1x.py",
]

model = dict(
    backbone={{_base_.vit_s16}},
    neck=dict(in_channels=[384, 384, 384, 384]),
)
custom_hooks = [dict(type="ResultsFile", task="coco-cascade-mask-rcnn")]
