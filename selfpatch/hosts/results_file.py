"""Validation metrics of mmdetection or mmsegmentation -> one results file."""

import math
import time
from numbers import Real
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop, Runner

from selfpatch.backbones.checks import misfit
from selfpatch.backbones.file import BackboneInfo
from selfpatch.errors import InputError
from selfpatch.hosts.host_backbone import HostBackbone
from selfpatch.hosts.settings import basic_datasets, data_of, test_settings, training_settings
from selfpatch.models.distributed import unwrapped
from selfpatch.results.file import TASKS, write_result
from selfpatch.results.settings import UNKNOWN

HOST_METRICS = {
    "AP-box": ("coco/bbox_mAP", 100),
    "AP-mask": ("coco/segm_mAP", 100),
    "mIoU": ("mIoU", 1),
    "mAcc": ("mAcc", 1),
    "aAcc": ("aAcc", 1),
}
"""Our metric -> the host's name for it and what turns its value into percent."""


@HOOKS.register_module()
class ResultsFile(Hook):
    """Write ``results.json`` into the work dir after each validation and test; the last one stays.

    How a model was trained, and for how long, is kept in its checkpoints, so that the result of a
    test alone says it too.

    Args:
        task: A key of :data:`selfpatch.results.file.TASKS`, or a name of your own, for any detector
            or segmenter and any data; its metrics are then those that the host computes.
    """

    priority = "LOW"

    def __init__(self, task: str) -> None:
        self.task = task
        self.started = time.monotonic()
        self.before: dict[str, Any] = {}
        """Hours, settings and seed of the training that a loaded checkpoint comes from."""
        self.loaded_iterations = 0
        self.was_written = False

    def before_run(self, runner: Runner) -> None:
        """The clock of the run starts here."""
        self.started = time.monotonic()

    def before_test(self, runner: Runner) -> None:
        """Look at the images as the backbone does."""
        check_normalisation(model_of(runner))

    def before_train(self, runner: Runner) -> None:
        """Note how this training is set."""
        check_normalisation(model_of(runner))
        if isinstance(runner._val_loop, BaseLoop):
            check_categories(runner.train_dataloader.dataset, runner.val_dataloader.dataset)
        hours = self.before.get("hours", 0.0) if runner._resume else 0.0
        settings = training_settings(runner.cfg, runner.train_dataloader.dataset)
        self.before = {"hours": hours, "settings": settings, "seed": runner.seed}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the note beside the weights."""
        checkpoint["meta"]["selfpatch"] = {**self.before, "hours": self.hours()}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take up the note; refuse to test a model that the checkpoint does not fill.

        Raises:
            InputError: mmengine would warn, and score weights as they were drawn.
        """
        meta = checkpoint.get("meta", {})
        self.before, self.loaded_iterations = meta.get("selfpatch", {}), meta.get("iter", 0)
        if isinstance(runner._train_loop, BaseLoop):  # the backbone itself is strict all the same
            return
        state = checkpoint.get("state_dict", checkpoint)
        given = {name.removeprefix("module."): value for name, value in state.items()}
        wanted = model_of(runner).state_dict()
        if isinstance(model_of(runner).backbone, HostBackbone):
            # It looks for itself, and may yet become what the checkpoint says that it is.
            given, wanted = (
                {name: value for name, value in one.items() if not name.startswith("backbone.")}
                for one in (given, wanted)
            )
        problems = misfit(given, wanted, most=4)
        if problems:
            raise InputError(
                f"{runner._load_from} does not fill the model: {problems};"
                " test it with the config that it was trained with"
            )

    def after_train(self, runner: Runner) -> None:
        """Validate where no training was left to do: a run that was killed after its last step."""
        if not self.was_written and runner._val_loop is not None:
            runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Write the result of a validation; a training run does not end because that fails."""
        self.was_written = True
        try:
            self._write(runner, metrics or {}, "val")
        except Exception as error:
            if not isinstance(runner._train_loop, BaseLoop):
                raise
            runner.logger.warning(f"no results file was written: {type(error).__name__}: {error}")

    def after_test_epoch(self, runner: Runner, metrics: dict[str, Any] | None = None) -> None:
        """Write the result of a test."""
        self._write(runner, metrics or {}, "test")

    def hours(self) -> float:
        """Hours of this run, and of the runs that it goes on from."""
        return self.before.get("hours", 0.0) + (time.monotonic() - self.started) / 3600

    @master_only
    def _write(self, runner: Runner, metrics: dict[str, Any], split: str) -> None:
        path = Path(runner.work_dir, "results.json")
        several_scales = isinstance(unwrapped(runner.model), BaseTTAModel)
        write_result(
            path,
            task=self.task,
            metrics=measured(self.task, metrics),
            config=Path(runner.cfg.filename or "").name,
            dataset=data_of(getattr(runner, f"{split}_dataloader").dataset),
            backbone=info_of(runner),
            hours=self.hours(),
            seed=self.before.get("seed"),
            settings={
                "iterations": runner.iter or self.loaded_iterations,
                "training": self.before.get("settings", UNKNOWN),
                "test": test_settings(runner.cfg, split, several_scales),
            },
        )
        runner.logger.info(f"results file: {path}")


def model_of(runner: Runner) -> Any:
    """The model that is run, be it for a test over several scales."""
    model = unwrapped(runner.model)
    return model.module if isinstance(model, BaseTTAModel) else model


def check_categories(train: Any, val: Any) -> None:
    """Raise InputError where two files of COCO's kind number equal categories differently.

    A class is the place of its category in the file: a detector that is tested with another order
    finds every object and names it wrong.
    """
    orders = [
        (part.ann_file, list(part.cat_ids))
        for dataset in (train, val)
        for part in basic_datasets(dataset)
        if hasattr(part, "cat_ids")
    ]
    for file, order in orders[1:]:
        first, expected = orders[0]
        if order != expected and set(order) == set(expected):
            raise InputError(
                f"{file} lists its categories in another order than {first} does ({order[:5]}"
                f" and {expected[:5]} come first); write both alike"
            )


def check_normalisation(model: Any) -> None:
    """Raise InputError where a config normalises images otherwise than the backbone's were."""
    if not isinstance(model.backbone, HostBackbone) or not hasattr(model.data_preprocessor, "mean"):
        return
    for name in ("mean", "std"):
        wanted = [255 * value for value in getattr(model.backbone.trunk, name)]
        found = getattr(model.data_preprocessor, name).flatten().tolist()
        if any(abs(one - other) > 0.5 for one, other in zip(found, wanted, strict=True)):
            shown = [round(value, 3) for value in wanted]
            raise InputError(
                f"the backbone takes images of {name} {shown}, the config's data_preprocessor"
                f" says {[round(value, 3) for value in found]}; change the config"
            )


def info_of(runner: Runner) -> BackboneInfo:
    """What the model's backbone is; nothing is known of one that is not ours."""
    backbone = model_of(runner).backbone
    if isinstance(backbone, HostBackbone):
        return backbone.info
    return BackboneInfo({}, method=type(backbone).__name__, source="")


def measured(task: str, metrics: dict[str, Any]) -> dict[str, float | None]:
    """The metrics of a task in percent; of a user's own, those that are known, or else all."""
    names = TASKS.get(task) or [n for n, (host, _) in HOST_METRICS.items() if host in metrics]
    if not names:
        numbers = {name: value for name, value in metrics.items() if isinstance(value, Real)}
        return {n: float(v) if math.isfinite(v) else None for n, v in numbers.items()}
    found = {name: HOST_METRICS[name] for name in names}
    return {name: percent(metrics.get(host), factor) for name, (host, factor) in found.items()}


def percent(value: float | None, factor: float) -> float | None:
    """A host's value in percent; none where it says that it could not compute one (-1, nan)."""
    if value is None or math.isnan(value) or value < 0:
        return None
    return float(value) * factor
