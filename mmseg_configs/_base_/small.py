"""What makes a recipe a demo: 128-pixel crops, a small trunk, 100 steps; configs take the parts."""

crop_size = (128, 128)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomResize", scale=(512, 128), ratio_range=(1.0, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(512, 128), keep_ratio=True),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]
small = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        variant="vit_tiny",
        depth=6,
        out_indices=(2, 3, 4, 5),
        drop_path_rate=0.0,
        norm_cfg=dict(type="BN"),
    ),
    train_dataloader=dict(batch_size=4, num_workers=1, dataset=dict(pipeline=train_pipeline)),
    val_dataloader=dict(num_workers=1, dataset=dict(pipeline=test_pipeline)),
    optim_wrapper=dict(optimizer=dict(lr=5e-4)),
    param_scheduler=[
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=10),
        dict(type="PolyLR", eta_min=0.0, power=1.0, begin=10, end=100, by_epoch=False),
    ],
    train_cfg=dict(type="IterBasedTrainLoop", max_iters=100, val_interval=100),
    default_hooks=dict(
        logger=dict(type="LoggerHook", interval=10, log_metric_by_epoch=False),
        checkpoint=dict(
            type="LastingCheckpointHook", by_epoch=False, interval=100, max_keep_ckpts=1
        ),
    ),
    log_processor=dict(window_size=10),
)
del crop_size, train_pipeline, test_pipeline
