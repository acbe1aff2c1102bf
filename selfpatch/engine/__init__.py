"""Pretraining under mmengine's Runner; importing this registers all of it."""

from selfpatch.engine import hooks, loop, optimizer, pretrainer, sampling, schedules

__all__ = ["hooks", "loop", "optimizer", "pretrainer", "sampling", "schedules"]
