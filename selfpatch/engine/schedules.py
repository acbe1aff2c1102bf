"""Number of a step -> learning rate, weight decay, momentum, temperature."""

import math
from dataclasses import dataclass

from selfpatch.errors import InputError


def cosine(step: float, num_steps: float, start: float, end: float) -> float:
    """Half a cosine from ``start`` at step 0 towards ``end`` at ``num_steps``."""
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * step / num_steps))


def warmup_cosine(
    step: int, num_steps: int, warmup_steps: float, start: float, peak: float, end: float
) -> float:
    """From ``start`` to ``peak`` at the last warm-up step, then half a cosine to ``end``."""
    if step < warmup_steps:
        return start + (peak - start) * step / max(warmup_steps - 1, 1)
    return cosine(step - warmup_steps, num_steps - warmup_steps, peak, end)


def linear_warmup(step: int, warmup_steps: int, start: float, end: float) -> float:
    """From ``start`` to ``end``, reached at the last warm-up step; then ``end``."""
    if step >= warmup_steps:
        return end
    return start + (end - start) * step / max(warmup_steps - 1, 1)


@dataclass(frozen=True)
class StepSettings:
    """Everything that changes from step to step.

    Attributes:
        lr: Learning rate.
        weight_decay: Weight decay of the parameters that decay.
        momentum: Share of the old teacher that its moving average keeps.
        teacher_temp: Temperature of the teacher's targets.
        last_layer_frozen: Whether the prototypes stand still.
    """

    lr: float
    weight_decay: float
    momentum: float
    teacher_temp: float
    last_layer_frozen: bool


@dataclass(frozen=True)
class Schedule:
    """Number of a step -> its settings; a pure function, so that a run can go on anywhere.

    A step is one update of the weights, of several batches where gradients are accumulated. The
    last three values belong to objectives with prototypes; by default they change nothing.

    Attributes:
        num_steps: Steps of the whole run.
        steps_per_epoch: Steps of an epoch.
        images_per_step: Images of a step, over all processes and accumulated batches.
        lr: Peak learning rate per 256 images of a step.
        start_lr: Learning rate of the first step, whatever the size of a step.
        end_lr: Learning rate at the end, whatever the size of a step.
        warmup_epochs: Epochs in which the learning rate rises linearly.
        weight_decay: First and last value, along half a cosine.
        momentum: First and last value of the teacher's momentum, along half a cosine.
        teacher_temp: First and last value, linearly over the epochs of its warm-up.
        teacher_temp_warmup_epochs: Epochs of that warm-up.
        freeze_last_layer_epochs: Epochs in which the prototypes stand still.
    """

    num_steps: int
    steps_per_epoch: int
    images_per_step: int
    lr: float
    start_lr: float
    end_lr: float
    warmup_epochs: float
    weight_decay: tuple[float, float]
    momentum: tuple[float, float]
    teacher_temp: tuple[float, float] = (1.0, 1.0)
    teacher_temp_warmup_epochs: int = 0
    freeze_last_layer_epochs: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot mean what it says.

        Raises:
            InputError: Names the value.
        """
        for name in ("warmup_epochs", "teacher_temp_warmup_epochs", "freeze_last_layer_epochs"):
            epochs = getattr(self, name)
            if not 0 <= epochs * self.steps_per_epoch <= self.num_steps:
                raise InputError(
                    f"train_cfg.schedule.{name}={epochs:g} does not fit into a run of"
                    f" {self.num_steps // self.steps_per_epoch} epochs; lower it, or raise"
                    " train_cfg.max_epochs"
                )
        for name, in_range, words in (
            ("lr", self.lr > 0, "above 0"),
            ("start_lr", self.start_lr >= 0, "0 or above"),
            ("end_lr", self.end_lr >= 0, "0 or above"),
            ("weight_decay", min(self.weight_decay) >= 0, "0 or above, at both ends"),
            ("momentum", 0 <= min(self.momentum) <= max(self.momentum) <= 1, "from 0 to 1"),
            ("teacher_temp", min(self.teacher_temp) > 0, "above 0, at both ends"),
        ):
            if not in_range:
                raise InputError(f"train_cfg.schedule.{name}={getattr(self, name)} must be {words}")

    def __call__(self, step: int) -> StepSettings:
        """The settings of a step, counted from 0."""
        epoch = step // self.steps_per_epoch
        peak = self.lr * self.images_per_step / 256
        warmup_steps = self.warmup_epochs * self.steps_per_epoch
        return StepSettings(
            lr=warmup_cosine(step, self.num_steps, warmup_steps, self.start_lr, peak, self.end_lr),
            weight_decay=cosine(step, self.num_steps, *self.weight_decay),
            momentum=cosine(step, self.num_steps, *self.momentum),
            teacher_temp=linear_warmup(epoch, self.teacher_temp_warmup_epochs, *self.teacher_temp),
            last_layer_frozen=epoch < self.freeze_last_layer_epochs,
        )
