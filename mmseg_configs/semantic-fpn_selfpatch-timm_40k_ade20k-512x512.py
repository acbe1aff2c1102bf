"""Semantic FPN on any network of timm, ADE20K, 40k iterations.

Command:  ADE20K_ROOT=DIR selfpatch finetune semantic-fpn_selfpatch-timm_40k_ade20k-512x512 \
              --cfg-options model.backbone.init_cfg.checkpoint=timm:eva02_small_patch14_224
Source:   The recipe of ViT-S/16. Of another width than 384, set model.backbone.channels and
          model.neck.in_channels; the message says which.
Expect:   No published number.
"""

_base_ = "semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="SelfPatchTimm",
        channels=[384, 384, 384, 384],
        norm_cfg=dict(type="SyncBN", requires_grad=True),
        init_cfg=dict(type="Pretrained", checkpoint="backbone.safetensors"),
    ),
)
