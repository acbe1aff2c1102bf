"""Semantic FPN on a SelfPatch ViT-S/16, ADE20K, 40k iterations.

Command:  ADE20K_ROOT=DIR selfpatch finetune \
              semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512 \
              --cfg-options model.backbone.init_cfg.checkpoint=BACKBONE
Source:   The reference implementation's recipe (AdamW 6e-5, weight decay 0.01, poly, 4 images per
          GPU), with maps of strides 4, 8, 16, 32; see the _stride16 config for the reference's.
          It does not say how many GPUs it used: 4 are assumed for automatic learning-rate scaling.
Expect:   DINO 38.3 mIoU; DINO + SelfPatch 41.2 (the paper's numbers, not measured here).
"""

_base_ = ["_base_/selfpatch_vit-s16.py", "_base_/ade20k.py"]

model = dict(
    neck=dict(type="FPN", in_channels=[384, 384, 384, 384], out_channels=256, num_outs=4),
    decode_head=dict(
        type="FPNHead",
        in_channels=[256, 256, 256, 256],
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=128,
        dropout_ratio=0.1,
        num_classes=150,
        norm_cfg=dict(type="SyncBN", requires_grad=True),
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type="PolyLR", eta_min=0.0, power=1.0, begin=1500, end=40000, by_epoch=False),
]
auto_scale_lr = dict(base_batch_size=16)
custom_hooks = [dict(type="ResultsFile", task="ade20k-semantic-fpn")]
