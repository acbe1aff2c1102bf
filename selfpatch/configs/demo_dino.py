"""Plain DINO at the size of a demo, with the budget of ``demo_selfpatch.py``.

Command:  selfpatch pretrain demo_dino --data DIR
Source:   The baseline's recipe with everything reduced; it shows the path, not a useful backbone.
Expect:   A loss that rises towards the logarithm of the number of prototypes, see there.
"""

_base_ = ["dino-matched_vit-s16_8xb128-200e_in1k.py"]

total_batch_size = 16
views = [
    dict(count=1, size=96, scale=(0.25, 1.0), blur=1.0),
    dict(count=1, size=96, scale=(0.25, 1.0), blur=0.1, solarize=0.2),
    dict(count=4, size=48, scale=(0.05, 0.25), blur=0.5),
]
train_dataloader = dict(num_workers=2, pin_memory=False)
model = dict(
    trunk=dict(variant="vit_tiny", depth=6, image_size=96, drop_path_rate=0.0),
    objective=dict(num_prototypes=1024, hidden_dim=512, bottleneck_dim=128),
)
train_cfg = dict(
    max_epochs=10,
    schedule=dict(
        lr=3e-3,
        start_lr=0.0,
        end_lr=1e-5,
        warmup_epochs=2,
        momentum=(0.98, 1.0),
        teacher_temp=(0.04, 0.04),
        teacher_temp_warmup_epochs=0,
    ),
)
default_hooks = dict(tokens=dict(interval=5), logger=dict(interval=5), checkpoint=dict(keep_last=1))
log_processor = dict(window_size=5)
