"""A linear head on the frozen features of a SelfPatch ViT-S/8, ADE20K, 40k iterations.

Command:  as linear_selfpatch-vit-s16_40k_ade20k-512x512.py
Source:   The recipe of ViT-S/16.
Expect:   No published number.
"""

_base_ = "linear_selfpatch-vit-s16_40k_ade20k-512x512.py"

model = dict(backbone=dict(patch_size=8, strides=(8,)))
