"""The reference implementation's COCO recipe: 12 epochs, AdamW, DETR-style crops.

Source: alinlab/SelfPatch, detection/configs/selfpatch/mask_rcnn_vit_small_12_p16_1x_coco.py. It
does not say how many GPUs it used: 8 of one image are assumed for automatic learning-rate scaling.
"""

_base_ = "coco.py"

# Multi-scale training with crops, as in DETR; the longest side is 1333 pixels.
short_sides = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
resize = dict(
    type="RandomChoiceResize", scales=[(side, 1333) for side in short_sides], keep_ratio=True
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(type="RandomFlip", prob=0.5),
    dict(
        type="RandomChoice",
        transforms=[
            [resize],
            [
                dict(
                    type="RandomChoiceResize",
                    scales=[(400, 1333), (500, 1333), (600, 1333)],
                    keep_ratio=True,
                ),
                dict(
                    type="RandomCrop",
                    crop_type="absolute_range",
                    crop_size=(384, 600),
                    allow_negative_crop=True,
                ),
                resize,
            ],
        ],
    ),
    dict(type="PackDetInputs"),
]
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(_delete_=True, type="AdamW", lr=5e-5, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
        custom_keys={
            "pos_embed": dict(decay_mult=0.0),
            "cls_token": dict(decay_mult=0.0),
            "norm": dict(decay_mult=0.0),
        }
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type="MultiStepLR", begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=8)
