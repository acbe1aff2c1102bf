"""UperNet on a ViT-B/16, ADE20K, 160k iterations.

Command:  as upernet_selfpatch-vit-s16_160k_ade20k-512x512.py
Source:   The recipe of ViT-S/16; the reference has no ViT-B.
Expect:   No published number.
"""

_base_ = "upernet_selfpatch-vit-s16_160k_ade20k-512x512.py"

model = dict(
    backbone=dict(variant="vit_base"),
    decode_head=dict(in_channels=[768, 768, 768, 768]),
    auxiliary_head=dict(in_channels=768),
)
