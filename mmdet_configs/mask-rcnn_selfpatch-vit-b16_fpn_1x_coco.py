"""Mask R-CNN with FPN on a ViT-B/16, COCO, 1x.

Command:  as mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py
Source:   The recipe of ViT-S/16 with twice the stochastic depth; the reference has no ViT-B.
Expect:   No published number.
"""

_base_ = "mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py"

model = dict(
    backbone=dict(variant="vit_base", drop_path_rate=0.1),
    neck=dict(in_channels=[768, 768, 768, 768]),
)
