"""Mask R-CNN with FPN on a SelfPatch ViT-S/16, COCO, 1x (12 epochs).

Command:  COCO_ROOT=DIR python tools/finetune.py mmdet \
              mmdet_configs/mask-rcnn_selfpatch-vit-s16_fpn_1x_coco.py \
              --cfg-options model.backbone.init_cfg.checkpoint=BACKBONE
          A backbone with [CLS] token (plain DINO) also takes model.backbone.class_token=True.
Source:   The reference implementation's recipe (AdamW 5e-5, 1 image per GPU, DETR-style crops),
          with the trunk's own 6 heads; see the _8heads config for the reference's 8. It does not
          say how many GPUs it used: 8 is assumed for automatic learning-rate scaling.
Expect:   DINO 40.8 box AP, 37.3 mask AP; DINO + SelfPatch 42.1 and 38.5 (the paper's numbers, not
          measured here).
"""

_base_ = "mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py"
custom_imports = dict(
    imports=["selfpatch.backbone", "selfpatch.engine.results_hook"], allow_failed_imports=False
)

data_root = "{{$COCO_ROOT:data/coco/}}"

model = dict(
    backbone=dict(
        _delete_=True,
        type="SelfPatchViT",
        variant="vit_small",
        patch_size=16,
        out_indices=(3, 5, 7, 11),
        strides=(4, 8, 16, 32),
        drop_path_rate=0.05,
        norm_cfg=dict(type="SyncBN"),
        init_cfg=dict(type="Pretrained", checkpoint="backbone.safetensors"),
    ),
    neck=dict(in_channels=[384, 384, 384, 384]),
)

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
train_dataloader = dict(batch_size=1, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "/annotations/instances_val2017.json")
test_evaluator = val_evaluator

optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(_delete_=True, type="AdamW", lr=5e-5, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
        custom_keys={"pos_embed": dict(decay_mult=0.0), "norm": dict(decay_mult=0.0)}
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type="MultiStepLR", begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1),
]
auto_scale_lr = dict(base_batch_size=8)
custom_hooks = [dict(type="ResultsFile", task="coco-mask-rcnn")]
