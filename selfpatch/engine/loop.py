"""A step, from its views to the updated weights; epochs that can be taken up at any step."""

import math
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.registry import LOG_PROCESSORS, LOOPS
from mmengine.runner import EpochBasedTrainLoop, LogProcessor, Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader

from selfpatch.atomic import atomic_write
from selfpatch.data.draws import single_views
from selfpatch.data.seeds import mixed_seed
from selfpatch.engine.optimizer import PretrainOptimWrapper
from selfpatch.engine.preprocessor import with_views
from selfpatch.engine.schedules import Schedule, StepSettings
from selfpatch.errors import InputError
from selfpatch.models.distributed import local, unwrapped

LEAST_LOSS_SCALE = 1.0
"""Once the loss scale has fallen below it, the gradients were not finite even without a scale."""


@LOOPS.register_module()
class PretrainLoop(EpochBasedTrainLoop):
    """mmengine's epoch loop, with a step of its own, that goes on in the middle of an epoch.

    Args:
        runner: The runner.
        dataloader: The data loader, or its config.
        max_epochs: Epochs to train.
        schedule: The recipe's values of :class:`selfpatch.engine.schedules.Schedule`.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        schedule: dict[str, Any],
    ) -> None:
        super().__init__(runner, dataloader, max_epochs)
        num_images = self.dataloader.batch_size * get_world_size()
        view_sizes = [view.size for view in single_views(runner.cfg.views)]
        unwrapped(runner.model).objective.check(view_sizes, num_images)
        accumulated = runner.cfg.optim_wrapper.get("accumulative_counts", 1)
        steps_per_epoch = len(self.dataloader) // accumulated  # whole ones, see EpochSampler
        self.schedule = Schedule(
            num_steps=max_epochs * steps_per_epoch,
            steps_per_epoch=steps_per_epoch,
            images_per_step=num_images * accumulated,
            **schedule,
        )
        self.unread: Reading | None = None

    def run(self) -> torch.nn.Module:
        """Train; refuses a data set that does not fill one step."""
        if len(self.dataloader) == 0:
            raise InputError(
                f"{len(self.dataloader.dataset)} images do not fill one step of"
                f" {self.runner.cfg.total_batch_size}; lower total_batch_size or give more images"
            )
        return super().run()

    def run_epoch(self) -> None:
        """Iterate over what is left of this epoch."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        done = self._iter - self._epoch * len(self.dataloader)
        self.dataloader.sampler.start = done * self.dataloader.batch_size
        batches = with_views(self.dataloader, unwrapped(self.runner.model).data_preprocessor)
        for index, batch in enumerate(batches, start=done):
            self.run_iter(index, batch)
        self.read()
        self.dataloader.sampler.start = 0
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: dict[str, Any]) -> None:
        """One batch; and the step that it completes, unless more batches are accumulated for it.

        Nothing here waits for the device but :meth:`read`, which comes a batch late. Random
        numbers depend on seed, iteration and process alone, so that a resumed run draws the drop
        paths of an uninterrupted one.
        """
        runner, optimizer = self.runner, self.runner.optim_wrapper
        step, place = divmod(self._iter, optimizer.accumulative_counts)
        completes = place + 1 == optimizer.accumulative_counts
        settings = self.schedule(step)
        optimizer.set_rates(settings.lr, settings.weight_decay)
        runner.call_hook("before_train_iter", batch_idx=idx, data_batch=data_batch)
        torch.manual_seed(mixed_seed(runner.seed, self._iter, get_rank()))

        values = add_gradients(
            runner.model, optimizer, data_batch["views"], settings.teacher_temp, sync=completes
        )
        self.read()
        if completes:
            values["grad_norm"] = move(runner.model, optimizer, settings)
            if optimizer.scaler.is_enabled():
                values["loss_scale"] = optimizer.scaler.scale(torch.ones_like(values["grad_norm"]))

        # Without the views, which take memory of the device and can be made again.
        kept = {name: part for name, part in data_batch.items() if name != "views"}
        self.unread = Reading(self._iter, self._epoch, kept, values)
        runner.call_hook("after_train_iter", batch_idx=idx, data_batch=data_batch)
        self._iter += 1

    def read(self) -> None:
        """Log the last batch's losses and the step's gradient norm, unless that is done.

        It is when the next batch is computed, when the log is written and before a checkpoint.

        Raises:
            InputError: One is not finite. The student's weights are still those that gave it,
                since no optimiser step takes up a loss or a gradient that is not finite.
        """
        reading, self.unread = self.unread, None
        if reading is None:
            return
        values = reading.values()
        # Gradients of fp16 overflow now and then; the loss scale falls, and the run goes on.
        passed_over = values.get("loss_scale", 0.0) >= LEAST_LOSS_SCALE
        checked = {n: v for n, v in values.items() if not (n == "grad_norm" and passed_over)}
        if not all(map(math.isfinite, checked.values())):
            raise self.dumped(reading, checked)
        for name, value in values.items():
            self.runner.message_hub.update_scalar(f"train/{name}", value)

    def dumped(self, reading: "Reading", values: dict[str, float]) -> InputError:
        """Save all that values that are not finite were computed from; say where the run stopped.

        Teacher, centres and queues, which change little in a step, may have moved since.
        """
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        causes = [name for name in broken if name not in ("loss", "grad_norm")] or broken
        what = " and ".join(f"{name} is {values[name]}" for name in causes)
        name = f"non_finite_iter_{reading.iteration}_rank_{get_rank()}.pth"
        path = Path(self.runner.work_dir, name)
        weights = {name: local(w) for name, w in unwrapped(self.runner.model).state_dict().items()}
        views = unwrapped(self.runner.model).data_preprocessor(reading.batch)
        content = {
            "losses": values,
            "state_dict": weights,
            "views": views,
            "path": reading.batch["path"],
        }
        with atomic_write(path) as file:
            torch.save(content, file)
        images = reading.batch["path"]
        named = ", ".join(images[:3]) + f" and {len(images) - 3} more" * (len(images) > 3)
        return InputError(
            f"{what} at iteration {reading.iteration} of epoch {reading.epoch + 1} on {named};"
            f" views, paths and weights are in {path}; {self.remedy(reading.iteration, values)}"
        )

    def remedy(self, iteration: int, values: dict[str, float]) -> str:
        """What to change where the values of this iteration are not finite."""
        if iteration < self.runner.optim_wrapper.accumulative_counts:
            return (
                "no step was made before, so that the learning rate is not the cause: look at the"
                " settings of model.objective, model.selfpatch and optim_wrapper.precision, and at"
                " these images"
            )
        if math.isfinite(values["loss"]) and "loss_scale" in values:
            return (
                f"the loss scale has fallen to {values['loss_scale']:g}, and no lower one helps;"
                " compute in bf16 or fp32 (optim_wrapper.precision)"
            )
        return (
            "lower the learning rate (train_cfg.schedule.lr) or compute in fp32"
            " (optim_wrapper.precision)"
        )


def add_gradients(
    model: nn.Module,
    optimizer: PretrainOptimWrapper,
    views: list[Tensor],
    teacher_temp: float,
    sync: bool = True,
) -> dict[str, Tensor]:
    """A batch's losses, whose gradients are added to those of the step.

    The teacher looks at all views first. Then each size of views by itself goes forward and
    backward, which frees what it has kept before the next one begins. The same lines serve one
    process, several, sharded weights and low precision.

    Args:
        model: A :class:`Pretrainer`, or what spreads it over processes.
        optimizer: Its optimiser.
        views: V views, each (B, 3, h, w), global ones first.
        teacher_temp: Temperature of the teacher's targets.
        sync: Average the gradients over the processes.
    """
    own = unwrapped(model)
    with optimizer.optim_context(model):
        teacher = own.look(views)
    losses: dict[str, Tensor] = {}
    for first, run in (runs := own.runs(views)):
        last = first == runs[-1][0]
        with optimizer.optim_context(model, sync=last and sync):
            share = model(run, first, len(views), teacher, teacher_temp)
        optimizer.backward(share["loss"])
        for name, value in share.items():
            losses[name] = losses.get(name, 0) + value.detach()
    own.update(teacher)
    return losses


def move(model: nn.Module, optimizer: PretrainOptimWrapper, settings: StepSettings) -> Tensor:
    """Move student, centres and teacher by the step's gradients; returns their largest norm."""
    own = unwrapped(model)
    norm = optimizer.clip_gradients()
    if settings.last_layer_frozen:
        optimizer.drop_last_layer_gradients()
    optimizer.step()
    optimizer.zero_grad()
    own.move_centers()
    own.move_teacher(settings.momentum)
    return norm


class Reading:
    """Values of a batch on their way from the device to the host, which does not wait for them.

    Args:
        iteration: Number of the batch.
        epoch: Number of its epoch.
        batch: The batch.
        values: Scalars on the device, by name.
    """

    def __init__(
        self, iteration: int, epoch: int, batch: dict[str, Any], values: dict[str, Tensor]
    ) -> None:
        self.iteration, self.epoch, self.batch = iteration, epoch, batch
        self.names = list(values)
        stacked = torch.stack(list(values.values()))
        self.copied = torch.cuda.Event() if stacked.is_cuda else None
        self.host = torch.empty_like(stacked, device="cpu", pin_memory=stacked.is_cuda)
        self.host.copy_(stacked, non_blocking=True)
        if self.copied is not None:
            self.copied.record()

    def values(self) -> dict[str, float]:
        """The values, once they have arrived."""
        if self.copied is not None:
            self.copied.synchronize()
        return dict(zip(self.names, self.host.tolist(), strict=True))


@LOG_PROCESSORS.register_module()
class PretrainLog(LogProcessor):
    """mmengine's text of the log, with the losses of the iteration that it is written in."""

    def get_log_after_iter(self, runner: Runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        """Read what the device has not yet handed over, first."""
        runner.train_loop.read()
        log: tuple[dict, str] = super().get_log_after_iter(runner, batch_idx, mode)
        return log
