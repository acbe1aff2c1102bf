"""Semantic FPN on a SelfPatch ViT-S/8, ADE20K, 40k iterations: four times the patches.

Command:  as semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py
Source:   The recipe of ViT-S/16; the reference has none for patches of 8.
Expect:   No published number.
"""

_base_ = "semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py"

model = dict(backbone=dict(patch_size=8))
