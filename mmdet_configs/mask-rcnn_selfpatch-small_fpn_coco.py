"""Mask R-CNN at the size of a demo: small images, a small trunk, some hundred steps on a CPU.

Command:  COCO_ROOT=DIR selfpatch finetune \
              mask-rcnn_selfpatch-small_fpn_coco \
              --cfg-options model.backbone.init_cfg.checkpoint=BACKBONE
Source:   mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py with everything reduced, for the backbones of
          selfpatch/configs/demo_*.py.
Expect:   A falling loss; it shows the path, not what a backbone is worth.
"""

_base_ = "mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py"

model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(
        variant="vit_tiny",
        depth=6,
        out_indices=(2, 3, 4, 5),
        drop_path_rate=0.0,
        norm_cfg=dict(type="BN"),
    ),
    neck=dict(in_channels=[192, 192, 192, 192], out_channels=128),
    rpn_head=dict(in_channels=128, feat_channels=128),
    # Fewer regions and samples per region: on a CPU, RoIAlign took half of a step.
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=128, roi_layer=dict(sampling_ratio=2)),
        bbox_head=dict(in_channels=128, fc_out_channels=256),
        mask_roi_extractor=dict(out_channels=128, roi_layer=dict(sampling_ratio=1)),
        mask_head=dict(in_channels=128, conv_out_channels=128),
    ),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=200)),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=400, max_per_img=200), rcnn=dict(sampler=dict(num=64))
    ),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(type="Resize", scale=(320, 224), keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(320, 224), keep_ratio=True),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
train_dataloader = dict(batch_size=2, num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(lr=2e-4), clip_grad=dict(max_norm=1.0))
train_cfg = dict(max_epochs=1)
param_scheduler = [dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=20)]
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(type="LastingCheckpointHook", max_keep_ckpts=1)
)
log_processor = dict(window_size=10)
