"""Logits of student and teacher -> the loss of self-distillation with a centre (DINO)."""

import torch
from torch import Tensor, nn

from selfpatch.models.distributed import mean_over_processes


def cross_entropy(student: Tensor, targets: Tensor, student_temp: float) -> Tensor:
    """-sum_k targets_k log softmax(student / temp)_k over the last dimension, in fp32.

    Written as logsumexp(s) - <targets, s>, which holds for targets that add up to one and never
    stores the log-softmax.
    """
    logits = student.float() / student_temp
    return logits.logsumexp(-1) - (targets * logits).sum(-1)


class Center(nn.Module):
    """A running mean of the teacher's logits, subtracted so that no prototype wins them all.

    It moves once per optimiser step, towards the mean of all batches of that step.

    Args:
        num_prototypes: K.
        momentum: Share of the old centre that an update keeps.
    """

    value: Tensor

    def __init__(self, num_prototypes: int, momentum: float = 0.9) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("value", torch.zeros(num_prototypes))
        self.total: Tensor | None = None  # of the batches collected since the last step
        self.count = 0

    def targets(self, teacher: Tensor, teacher_temp: float) -> Tensor:
        """Teacher logits (..., K) -> centred and sharpened distributions (..., K), in fp32."""
        return ((teacher.float() - self.value) / teacher_temp).softmax(-1)

    @torch.no_grad()
    def collect(self, *teacher: Tensor) -> None:
        """Add all rows of a batch's ``teacher``, each (..., K), to those of this step."""
        total = torch.stack([t.float().flatten(0, -2).sum(0) for t in teacher]).sum(0)
        self.total = total if self.total is None else self.total + total
        self.count += sum(t[..., 0].numel() for t in teacher)

    @torch.no_grad()
    def step(self) -> None:
        """Move towards the mean of the rows collected, over all processes."""
        if self.total is None:
            return
        self.value.lerp_(mean_over_processes(self.total / self.count), 1 - self.momentum)
        self.total, self.count = None, 0
