"""Plain DINO with the budget of ``selfpatch_vit-t16_imagenette128.py``.

Command:  selfpatch pretrain dino_vit-t16_imagenette128 \
              --data DIR --knn TRAIN VAL --davis DAVIS
Source:   DINO's trunk with [CLS] token and its centre over global views; the rest as there.
Expect:   docs/imagenette.md has curves, scores and times.
"""

_base_ = ["dino-matched_vit-s16_8xb128-200e_in1k.py"]

total_batch_size = 32
views = [
    dict(count=1, size=112, scale=(0.25, 1.0), blur=1.0),
    dict(count=1, size=112, scale=(0.25, 1.0), blur=0.1, solarize=0.2),
    dict(count=4, size=48, scale=(0.05, 0.25), blur=0.5),
]
train_dataloader = dict(num_workers=2, pin_memory=False)
model = dict(
    trunk=dict(variant="vit_tiny", image_size=112, drop_path_rate=0.0),
    objective=dict(num_prototypes=4096, hidden_dim=512, bottleneck_dim=128),
)
train_cfg = dict(
    max_epochs=5,
    schedule=dict(
        lr=2e-3,
        start_lr=0.0,
        end_lr=1e-5,
        warmup_epochs=1,
        momentum=(0.99, 1.0),
        teacher_temp=(0.04, 0.04),
        teacher_temp_warmup_epochs=0,
    ),
)
default_hooks = dict(
    tokens=dict(interval=25), logger=dict(interval=25), checkpoint=dict(keep_last=1)
)
log_processor = dict(window_size=25)
