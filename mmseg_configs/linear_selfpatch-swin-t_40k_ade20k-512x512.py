"""A linear head on the frozen features of a Swin-T, ADE20K, 40k iterations.

Command:  as linear_selfpatch-vit-s16_40k_ade20k-512x512.py
Source:   The recipe of ViT-S/16, on the last stage of stride 32.
Expect:   No published number.
"""

_base_ = ["linear_selfpatch-vit-s16_40k_ade20k-512x512.py", "_base_/swin-t.py"]

model = dict(
    backbone={{_base_.frozen_swin_t}},
    decode_head=dict(in_channels=768),
)
