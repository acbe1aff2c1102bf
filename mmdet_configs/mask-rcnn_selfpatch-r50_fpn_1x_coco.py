"""Mask R-CNN with FPN on a ResNet-50, COCO, 1x: MoCo-v2, SwAV, DenseCL, DetCo, ReSim, supervised.

Command:  as mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py
Source:   mmdetection's mask-rcnn_r50-mocov2-pre_fpn_1x_coco: SGD 0.02, 8 GPUs of 2 images, images
          of 800 pixels, stem frozen, batch norms trained and synchronised. The supervised baseline
          of mmdetection freezes one stage more and keeps the statistics:
          model.backbone.frozen_stages=1 model.backbone.norm_eval=True.
Expect:   No number here; mmdetection reports its own for its checkpoints.
"""

_base_ = ["mmdet::_base_/models/mask-rcnn_r50_fpn.py", "_base_/r50.py", "_base_/coco.py"]

model = dict(
    backbone={{_base_.r50}},
)
custom_hooks = [dict(type="ResultsFile", task="coco-mask-rcnn")]
