"""ViTDet on a SelfPatch ViT-S/16, COCO, 100 epochs of large-scale jitter: the strong protocol.

Command:  COCO_ROOT=DIR torchrun --nproc-per-node 8 -m selfpatch finetune \
              vitdet_selfpatch-vit-s16_lsj-100e_coco --launcher pytorch --amp \
              --cfg-options model.backbone.init_cfg.checkpoint=BACKBONE
Source:   Li et al., "Exploring plain vision transformer backbones for object detection", ViT-B's
          recipe: simple pyramid from the last map, windows of 14 with blocks 2, 5, 8, 11 global,
          AdamW 1e-4 for 64 images, weight decay 0.1, layer-wise decay 0.7, drop path 0.1; images
          padded to squares of 1,024 pixels (facebookresearch/detectron2, projects/ViTDet). Without
          its relative positions, which no pretrained backbone has; windows at the border are
          smaller instead of padded.
Expect:   No published number for this backbone.
"""

_base_ = "mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py"

image_size = (1024, 1024)
norm_cfg = dict(type="LN2d")
model = dict(
    data_preprocessor=dict(pad_size_divisor=1024),  # to 1,024 x 1,024, in training as in the test
    backbone=dict(
        out_indices=(11, 11, 11, 11),
        drop_path_rate=0.1,
        norm_cfg=norm_cfg,
        window_size=14,
        global_blocks=(2, 5, 8, 11),
    ),
    neck=dict(_delete_=True, type="SimplePyramid", in_channels=[384, 384, 384, 384]),
    rpn_head=dict(num_convs=2),
    roi_head=dict(
        bbox_head=dict(type="Shared4Conv1FCBBoxHead", conv_out_channels=256, norm_cfg=norm_cfg),
        mask_head=dict(norm_cfg=norm_cfg),
    ),
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(type="RandomResize", scale=image_size, ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(
        type="RandomCrop",
        crop_type="absolute_range",
        crop_size=image_size,
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1e-2, 1e-2)),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=image_size, keep_ratio=True),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(
    constructor="LayerDecay",
    optimizer=dict(lr=1e-4, weight_decay=0.1),
    paramwise_cfg=dict(
        decay_rate=0.7, norm_decay_mult=0.0, custom_keys={"cls_token": dict(decay_mult=0.0)}
    ),
)
train_cfg = dict(max_epochs=100, val_interval=5)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=250),
    dict(type="MultiStepLR", begin=0, end=100, by_epoch=True, milestones=[89, 96], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=64)
custom_hooks = [dict(type="ResultsFile", task="coco-vitdet")]
