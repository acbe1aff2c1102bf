"""Semantic FPN at the size of a demo: 128-pixel crops, a small trunk, 100 steps.

Command:  ADE20K_ROOT=DIR python tools/finetune.py mmseg \
              mmseg_configs/semantic-fpn_selfpatch-small_ade20k-128x128.py \
              --cfg-options model.backbone.init_cfg.checkpoint=BACKBONE
Source:   semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py
          with everything reduced, for the backbones of selfpatch/configs/demo_*.py.
Expect:   A falling loss; it shows the path, not what a backbone is worth.
"""

_base_ = "semantic-fpn_selfpatch-vit-s16_40k_ade20k-512x512.py"

crop_size = (128, 128)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", reduce_zero_label=True),
    dict(type="RandomResize", scale=(512, 128), ratio_range=(1.0, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(512, 128), keep_ratio=True),
    dict(type="LoadAnnotations", reduce_zero_label=True),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(batch_size=4, num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        variant="vit_tiny",
        depth=6,
        image_size=96,
        out_indices=(2, 3, 4, 5),
        drop_path_rate=0.0,
        norm_cfg=dict(type="BN"),
    ),
    neck=dict(in_channels=[192, 192, 192, 192], out_channels=128),
    decode_head=dict(in_channels=[128, 128, 128, 128], channels=64, norm_cfg=dict(type="BN")),
)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=10),
    dict(type="PolyLR", eta_min=0.0, power=1.0, begin=10, end=100, by_epoch=False),
]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=100, val_interval=100)
default_hooks = dict(
    logger=dict(type="LoggerHook", interval=10, log_metric_by_epoch=False),
    checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=100, max_keep_ckpts=1),
)
log_processor = dict(window_size=10)
