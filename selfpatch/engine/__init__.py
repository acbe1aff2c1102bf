"""Pretraining under mmengine's Runner; importing this registers all of it."""

from selfpatch.engine import hooks, loop, monitoring, optimizer, pretrainer, sampling, schedules

__all__ = [
    "hooks",
    "loop",
    "monitoring",
    "optimizer",
    "pretrainer",
    "sampling",
    "schedules",
]
