"""Multi-crop data: 2 global views of 224 pixels, 8 local views of 96, DINO's augmentation."""

views = [
    dict(count=1, size=224, scale=(0.25, 1.0), blur=1.0),
    dict(count=1, size=224, scale=(0.25, 1.0), blur=0.1, solarize=0.2),
    dict(count=8, size=96, scale=(0.05, 0.25), blur=0.5),
]
train_dataloader = dict(
    dataset=dict(type="MultiViewDataset", folder="data/imagenet/train"),
    sampler=dict(type="EpochSampler"),
    collate_fn=dict(type="default_collate"),
    num_workers=10,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
)
