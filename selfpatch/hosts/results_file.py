"""Validation metrics of mmdetection or mmsegmentation -> one results file."""

import math
import time
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop, Runner

from selfpatch.errors import InputError
from selfpatch.hosts.backbones import HostBackbone
from selfpatch.models.distributed import unwrapped
from selfpatch.results.file import TASKS, write_result

COCO = {"AP-box": ("coco/bbox_mAP", 100), "AP-mask": ("coco/segm_mAP", 100)}
ADE20K = {"mIoU": ("mIoU", 1)}
HOST_METRICS = {
    task: COCO if task.startswith("coco-") else ADE20K
    for task in TASKS
    if task.startswith(("coco-", "ade20k-"))
}
"""Task -> our metric -> the host's name for it and what turns its value into percent."""


@HOOKS.register_module()
class ResultsFile(Hook):
    """Write ``results.json`` into the work dir after each validation and test; the last one stays.

    Which backbone a model was fine-tuned from is kept in its checkpoints, so that a test alone
    knows it too.

    Args:
        task: A key of :data:`selfpatch.results.file.TASKS`.
    """

    priority = "LOW"

    def __init__(self, task: str) -> None:
        self.task = task
        self.metrics = HOST_METRICS[task]
        self.started = time.monotonic()
        self.loaded_iterations = 0

    def before_run(self, runner: Runner) -> None:
        """The clock of the run starts here."""
        self.started = time.monotonic()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note how long a model was trained that is tested.

        Raises:
            InputError: A model is to be tested that the checkpoint does not fill: mmengine would
                warn, and score weights as they were drawn.
        """
        self.loaded_iterations = checkpoint.get("meta", {}).get("iter", 0)
        if isinstance(runner._train_loop, BaseLoop):  # the backbone itself is strict all the same
            return
        wanted = model_of(runner).state_dict()
        given = checkpoint.get("state_dict", checkpoint)
        given = {name.removeprefix("module."): value for name, value in given.items()}
        problems = [f"missing {name}" for name in wanted if name not in given]
        problems += [f"left over {name}" for name in given if name not in wanted]
        problems = [p for p in problems if not p.endswith(("num_batches_tracked", "_extra_state"))]
        if problems:
            more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
            raise InputError(
                f"{runner._load_from} does not fill the model: {'; '.join(problems[:4])}{more};"
                " test it with the config that it was trained with"
            )

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Write the result of a validation."""
        self._write(runner, metrics or {}, runner.val_dataloader.dataset)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Write the result of a test."""
        self._write(runner, metrics or {}, runner.test_dataloader.dataset)

    @master_only
    def _write(self, runner: Runner, metrics: dict[str, Any], dataset: Any) -> None:
        path = Path(runner.work_dir, "results.json")
        found = {
            ours: percent(metrics.get(theirs), factor)
            for ours, (theirs, factor) in self.metrics.items()
        }
        # A test alone trains nothing: its model was trained for what its checkpoint says.
        settings: dict[str, Any] = {"iterations": runner.iter or self.loaded_iterations}
        settings["images"] = len(dataset)
        if isinstance(unwrapped(runner.model), BaseTTAModel):
            settings["test"] = "multi-scale, flipped"
        write_result(
            path,
            task=self.task,
            metrics=found,
            config=Path(runner.cfg.filename or "").name,
            dataset=str(dataset.data_root),
            backbone=backbone(runner).info,
            hours=(time.monotonic() - self.started) / 3600,
            settings=settings,
        )
        runner.logger.info(f"results file: {path}")


def model_of(runner: Runner) -> Any:
    """The model that is run, be it for a test over several scales."""
    model = unwrapped(runner.model)
    return model.module if isinstance(model, BaseTTAModel) else model


def backbone(runner: Runner) -> HostBackbone:
    """The backbone of the model that is run."""
    found: HostBackbone = model_of(runner).backbone
    return found


def percent(value: float | None, factor: float) -> float | None:
    """A host's value in percent; none where it says that it could not compute one (-1, nan)."""
    if value is None or math.isnan(value) or value < 0:
        return None
    return float(value) * factor
