"""Mask R-CNN with FPN on a SelfPatch ViT-S/8, COCO, 1x: four times the patches.

Command:  as mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py
Source:   The recipe of ViT-S/16; the reference has none for patches of 8. At 800x1333 a block
          attends over 16,700 patches: activation checkpointing is on.
Expect:   No published number.
"""

_base_ = "mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py"

model = dict(backbone=dict(patch_size=8, with_cp=True))
