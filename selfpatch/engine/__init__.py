"""Pretraining under mmengine's Runner; importing this registers all of it."""

from selfpatch.backbones.pickles import run_no_code_of_checkpoints
from selfpatch.engine import (
    checkpoints,
    hooks,
    loop,
    monitoring,
    optimizer,
    preprocessor,
    pretrainer,
)

__all__ = [
    "checkpoints",
    "hooks",
    "loop",
    "monitoring",
    "optimizer",
    "preprocessor",
    "pretrainer",
]

run_no_code_of_checkpoints()
