"""Pretraining under mmengine's Runner; importing this registers all of it."""

from selfpatch.engine import (
    checkpoints,
    hooks,
    loop,
    monitoring,
    optimizer,
    pretrainer,
)

__all__ = [
    "checkpoints",
    "hooks",
    "loop",
    "monitoring",
    "optimizer",
    "pretrainer",
]
