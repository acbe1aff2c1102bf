"""What happens around a pretraining step: the teacher's average, the log, the backbone file."""

import resource
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import master_only
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from selfpatch.atomic import atomic_write
from selfpatch.checkpoint import read_backbone, save_backbone
from selfpatch.engine.pretrainer import Pretrainer
from selfpatch.engine.schedules import images_per_step


def pretrainer(runner: Runner) -> Pretrainer:
    """The model, without what distribution wraps around it."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


@HOOKS.register_module()
class TeacherEMA(Hook):
    """Update the teacher after each optimiser step."""

    priority = "VERY_HIGH"

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """The student has just moved, unless gradients are still being accumulated."""
        if runner.optim_wrapper.should_update():
            pretrainer(runner).update_teacher()


@HOOKS.register_module()
class Throughput(Hook):
    """Log images per second and, where there is no GPU to report on, the peak memory in MiB."""

    priority = "BELOW_NORMAL"  # after mmengine's timer, before its logger

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Divide the images of this iteration by its time."""
        hub = runner.message_hub
        seconds = hub.get_scalar("train/time").current()
        accumulated = runner.optim_wrapper._accumulative_counts
        hub.update_scalar("train/images_per_s", images_per_step(runner) / accumulated / seconds)
        if not torch.cuda.is_available():
            peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            hub.update_scalar("train/memory", peak_kib / 1024)


@HOOKS.register_module()
class BackboneFile(Hook):
    """Describe the backbone in every checkpoint; write ``backbone.safetensors`` at the end."""

    priority = "LOWEST"

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add what :mod:`selfpatch.checkpoint` needs, in plain types only.

        mmengine's message hub, of which a run needs nothing back, holds pickled objects: it is
        left out, so that a checkpoint can be read without running code and without mmengine.
        """
        checkpoint["message_hub"] = {"log_scalars": {}, "runtime_info": {}, "resumed_keys": {}}
        model = pretrainer(runner)
        checkpoint["selfpatch"] = {
            "architecture": model.teacher.backbone.architecture,
            "method": model.method,
            "recipe": runner.cfg.pretty_text,
        }

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Export the teacher of the last checkpoint."""
        last = Path(runner.work_dir, "last_checkpoint").read_text().strip()
        path = Path(runner.work_dir, "backbone.safetensors")
        info = save_backbone(path, *read_backbone(last))
        runner.logger.info(f"backbone file: {path} ({info.method}, {info.fingerprint[:12]})")


@register_backend("atomic")
class AtomicLocalBackend(LocalBackend):
    """Local files, written beside and then renamed: a checkpoint is complete or not there."""

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        """Write ``obj`` to ``filepath``."""
        with atomic_write(filepath) as file:
            file.write(obj)
