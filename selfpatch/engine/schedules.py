"""Iteration -> learning rate, weight decay, momentum, temperature."""

import math

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner


def cosine(step: int, num_steps: int, start: float, end: float) -> float:
    """Half a cosine from ``start`` at step 0 towards ``end`` at ``num_steps``."""
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * step / num_steps))


def warmup_cosine(step: int, num_steps: int, warmup_steps: int, peak: float, end: float) -> float:
    """Linear from 0 to ``peak`` at the last warm-up step, then half a cosine to ``end``."""
    if step < warmup_steps:
        return peak * step / max(warmup_steps - 1, 1)
    return cosine(step - warmup_steps, num_steps - warmup_steps, peak, end)


def linear_warmup(step: int, warmup_steps: int, start: float, end: float) -> float:
    """From ``start`` to ``end``, reached at the last warm-up step; then ``end``."""
    if step >= warmup_steps:
        return end
    return start + (end - start) * step / max(warmup_steps - 1, 1)


@HOOKS.register_module()
class PretrainSchedules(Hook):
    """Set everything that changes over a run, before each step, from the step's number alone.

    Args:
        lr: Peak learning rate per 256 images of a step; the step's real size scales it.
        end_lr: Learning rate at the end.
        warmup_epochs: Epochs of linear warm-up.
        weight_decay: From and to, along a cosine.
        momentum: Of the teacher's moving average, from and to, along a cosine.
        teacher_temp: From and to, linearly over ``teacher_temp_warmup_epochs``, per epoch.
        teacher_temp_warmup_epochs: Epochs of that warm-up.
        freeze_last_layer_epochs: Epochs in which the prototypes do not move.
    """

    priority = "HIGHEST"  # before mmengine notes the learning rate for the log

    def __init__(
        self,
        lr: float,
        end_lr: float = 1e-6,
        warmup_epochs: int = 10,
        weight_decay: tuple[float, float] = (0.04, 0.4),
        momentum: tuple[float, float] = (0.996, 1.0),
        teacher_temp: tuple[float, float] = (0.04, 0.04),
        teacher_temp_warmup_epochs: int = 0,
        freeze_last_layer_epochs: int = 1,
    ) -> None:
        self.lr, self.end_lr, self.warmup_epochs = lr, end_lr, warmup_epochs
        self.weight_decay, self.momentum = weight_decay, momentum
        self.teacher_temp = teacher_temp
        self.teacher_temp_warmup_epochs = teacher_temp_warmup_epochs
        self.freeze_last_layer_epochs = freeze_last_layer_epochs

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Bring optimiser and model to this iteration."""
        wrapper = runner.optim_wrapper
        # Optimiser steps, each of several iterations where gradients are accumulated.
        accumulated = wrapper._accumulative_counts
        step, num_steps = runner.iter // accumulated, runner.max_iters // accumulated
        epoch_length = len(runner.train_dataloader) // accumulated
        peak = self.lr * images_per_step(runner) / 256
        lr = warmup_cosine(step, num_steps, self.warmup_epochs * epoch_length, peak, self.end_lr)
        weight_decay = cosine(step, num_steps, *self.weight_decay)
        for group in wrapper.param_groups:
            group["lr"] = lr
            group["weight_decay"] = weight_decay if group["decays"] else 0.0
        wrapper.last_layer_frozen = runner.epoch < self.freeze_last_layer_epochs
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model.momentum = cosine(step, num_steps, *self.momentum)
        model.set_teacher_temp(
            linear_warmup(runner.epoch, self.teacher_temp_warmup_epochs, *self.teacher_temp)
        )


def images_per_step(runner: Runner) -> int:
    """Images per optimiser step, over all processes and accumulated batches."""
    accumulated = runner.optim_wrapper._accumulative_counts
    return runner.train_dataloader.batch_size * runner.world_size * accumulated
