"""Semantic FPN on a ResNet-50, ADE20K, 40k iterations.

Command:  as semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py
Source:   mmsegmentation's schedule for its ResNet-50: SGD 0.01, weight decay 0.0005, poly with
          power 0.9; everything is trained, batch norms synchronised.
Expect:   No number here; mmsegmentation reports its own for supervised weights.
"""

_base_ = ["semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py", "_base_/r50.py"]

model = dict(
    backbone={{_base_.r50}},
    neck=dict(in_channels=[256, 512, 1024, 2048]),
)
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0005),
)
param_scheduler = [dict(type="PolyLR", eta_min=1e-4, power=0.9, begin=0, end=40000, by_epoch=False)]
