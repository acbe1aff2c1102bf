"""A linear head on the frozen features of a SelfPatch ViT-S/16, ADE20K, 40k iterations.

Command:  ADE20K_ROOT=DIR selfpatch finetune \
              linear_selfpatch-vit-s16_40k_ade20k-512x512 \
              --cfg-options model.backbone.init_cfg.checkpoint=BACKBONE
Source:   DINOv2's linear evaluation: batch norm and one 1x1 convolution on the last tokens after
          the final norm, AdamW 1e-3, weight decay 1e-4, 16 images (facebookresearch/dinov2,
          notebooks/semantic_segmentation.ipynb and its released configs); here without its
          sliding-window test.
Expect:   No published number; fine-tuned models score higher.
"""

_base_ = ["_base_/selfpatch_vit-s16.py", "_base_/ade20k.py"]
custom_imports = dict(
    imports=[
        "selfpatch.hosts",
        "selfpatch.hosts.linear_head",
    ],
    allow_failed_imports=False,
)

model = dict(
    backbone=dict(
        out_indices=(11,),
        strides=(16,),
        final_norm=True,
        normalized=True,
        drop_path_rate=0.0,
        frozen_stages=12,
    ),
    decode_head=dict(
        type="LinearHead",
        in_channels=384,
        in_index=-1,
        num_classes=150,
        norm_cfg=dict(type="SyncBN"),
        loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=1e-4))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type="PolyLR", eta_min=0.0, power=1.0, begin=1500, end=40000, by_epoch=False),
]
auto_scale_lr = dict(base_batch_size=16)
custom_hooks = [dict(type="ResultsFile", task="ade20k-linear")]
