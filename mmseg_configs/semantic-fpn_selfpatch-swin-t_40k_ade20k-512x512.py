"""Semantic FPN on a Swin-T, ADE20K, 40k iterations.

Command:  as semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py
Source:   The recipe of ViT-S/16 with the drop path of mmsegmentation's Swin-T.
Expect:   No published number.
"""

_base_ = ["semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py", "_base_/swin-t.py"]

model = dict(
    backbone={{_base_.swin_t}},
    neck=dict(in_channels=[96, 192, 384, 768]),
)
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={"relative_position_bias_table": dict(decay_mult=0.0)}),
)
