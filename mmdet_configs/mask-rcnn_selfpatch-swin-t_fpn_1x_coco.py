"""Mask R-CNN with FPN on a Swin-T, COCO, 1x.

Command:  as mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py
Source:   SwinTransformer/Swin-Transformer-Object-Detection, README.md's MoBY table and the config
          that it names, configs/swin/mask_rcnn_swin_tiny_patch4_window7_mstrain_480-800_adamw_1x_
          coco.py: AdamW 1e-4, weight decay 0.05, 8 GPUs of 2 images, drop path 0.1, 500 steps of
          warm-up, the crops of DETR. Without its fp16.
Expect:   MoBY 43.6 box AP, 39.6 mask AP (README of Transformer-SSL, not measured here).
"""

_base_ = ["mmdet::_base_/models/mask-rcnn_r50_fpn.py", "_base_/swin-t.py", "_base_/coco_1x.py"]

model = dict(
    backbone={{_base_.swin_t}},
    neck=dict(in_channels=[96, 192, 384, 768]),
)
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(
    optimizer=dict(lr=1e-4),
    paramwise_cfg=dict(custom_keys={"relative_position_bias_table": dict(decay_mult=0.0)}),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=16)
custom_hooks = [dict(type="ResultsFile", task="coco-mask-rcnn")]
