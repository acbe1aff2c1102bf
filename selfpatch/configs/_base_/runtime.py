"""How a pretraining run is carried out; nothing here belongs to a recipe.

The data loader is made by :func:`selfpatch.engine.runner.image_loader` from ``train_dataloader``,
``views``, ``total_batch_size`` and ``randomness.seed``.
"""

custom_imports = dict(imports=["selfpatch.engine"], allow_failed_imports=False)
default_scope = "mmengine"

train_dataloader = dict(folder="data/imagenet/train", num_workers=10, pin_memory=True)

# Share parameters, gradients and optimiser state out over the processes: for ViT-B and larger.
sharded = False

default_hooks = dict(
    images=dict(type="UnreadableImages"),
    throughput=dict(type="Throughput"),
    tokens=dict(type="TokenSpread", interval=50),
    logger=dict(type="LoggerHook", interval=50),
    checkpoint=dict(type="Checkpoints", interval=1, keep_last=3),
)
log_processor = dict(type="PretrainLog", window_size=50)
