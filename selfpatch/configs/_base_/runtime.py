"""What every pretraining run shares: loop, optimiser, hooks, log."""

custom_imports = dict(imports=["selfpatch.engine"], allow_failed_imports=False)
default_scope = "mmengine"

# Images per optimiser step, over all processes and accumulated batches.
total_batch_size = 1024

# Share parameters, gradients and optimiser state out over the processes: for ViT-B and larger.
sharded = False

train_cfg = dict(type="PretrainLoop", max_epochs=200)
optim_wrapper = dict(
    type="PretrainOptimWrapper",
    constructor="DecayGroups",
    optimizer=dict(type="AdamW", lr=0.0),  # the rate is set by PretrainSchedules
    clip_norm=3.0,
    precision="fp32",
)
default_hooks = dict(
    schedules=dict(type="PretrainSchedules", lr=5e-4, end_lr=1e-6, warmup_epochs=10),
    teacher=dict(type="TeacherEMA"),
    images=dict(type="UnreadableImages"),
    throughput=dict(type="Throughput"),
    tokens=dict(type="TokenSpread", interval=50),
    logger=dict(type="LoggerHook", interval=50),
    checkpoint=dict(type="Checkpoints", interval=1, keep_last=3),
)
log_processor = dict(window_size=50)
randomness = dict(seed=0)
