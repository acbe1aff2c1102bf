"""A linear head on the frozen features of a Swin-T, ADE20K, 40k iterations.

Command:  as linear_selfpatch-vit-s16_40k_ade20k-512x512.py
Source:   The recipe of ViT-S/16, on the last stage of stride 32.
Expect:   No published number.
"""

_base_ = "linear_selfpatch-vit-s16_40k_ade20k-512x512.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="SelfPatchSwin",
        variant="swin_tiny",
        drop_path_rate=0.0,
        frozen_stages=4,
        init_cfg=dict(type="Pretrained", checkpoint="backbone.safetensors"),
    ),
    decode_head=dict(in_channels=768),
)
