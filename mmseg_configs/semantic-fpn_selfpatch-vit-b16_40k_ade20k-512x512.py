"""Semantic FPN on a ViT-B/16, ADE20K, 40k iterations.

Command:  as semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py
Source:   The recipe of ViT-S/16; the reference has no ViT-B.
Expect:   No published number.
"""

_base_ = "semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py"

model = dict(
    backbone=dict(variant="vit_base"),
    neck=dict(in_channels=[768, 768, 768, 768]),
)
