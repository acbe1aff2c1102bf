"""Logits of student and teacher -> the loss of self-distillation with a centre (DINO).

The loss of a pair is the cross-entropy -sum_k t_k log softmax(s)_k. Because the targets t add up to
one, it equals logsumexp(s) - <t, s>, and the log-softmax is not kept for the backward pass.
"""

import torch
from torch import Tensor, nn

from selfpatch.errors import InputError
from selfpatch.models.distributed import mean_over_processes


def cross_entropy(student: Tensor, targets: Tensor, student_temp: float) -> Tensor:
    """Cross-entropy of each row of ``student`` with its own row of ``targets``, in fp32.

    Args:
        student: Logits (..., K).
        targets: Distributions (..., K).
        student_temp: Temperature of the student.

    Returns:
        (...).
    """
    logits = student.float() / student_temp
    return logits.logsumexp(-1) - (targets * logits).sum(-1)


def cross_entropy_of_pairs(student: Tensor, targets: Tensor, student_temp: float) -> Tensor:
    """Cross-entropy of every student view with every target view of the same image, in fp32.

    Args:
        student: Logits (V, B, K).
        targets: Distributions (T, B, K).
        student_temp: Temperature of the student.

    Returns:
        (T, V, B).
    """
    with torch.autocast(student.device.type, enabled=False):
        logits = student.float() / student_temp
        return logits.logsumexp(-1) - torch.einsum("tbk,vbk->tvb", targets, logits)


class Center(nn.Module):
    """A running mean of the teacher's logits, subtracted so that no prototype wins them all.

    It moves once per optimiser step, towards the mean of all batches of that step.

    Args:
        num_prototypes: K.
        momentum: Share of the old centre that an update keeps.
    """

    value: Tensor

    def __init__(self, num_prototypes: int, momentum: float) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise InputError(f"center_momentum={momentum} must lie from 0 to below 1")
        self.momentum = momentum
        self.register_buffer("value", torch.zeros(num_prototypes))
        self.pending_sum: Tensor | None = None  # of the rows collected since the last step
        self.pending_rows = 0

    def targets(self, teacher: Tensor, teacher_temp: float) -> Tensor:
        """Teacher logits (..., K) -> centred and sharpened distributions (..., K), in fp32."""
        return ((teacher.float() - self.value) / teacher_temp).softmax(-1)

    @torch.no_grad()
    def collect(self, *teacher: Tensor) -> None:
        """Add all rows of a batch's ``teacher``, each (..., K), to those of this step."""
        rows_sum = torch.stack([t.float().flatten(0, -2).sum(0) for t in teacher]).sum(0)
        self.pending_sum = rows_sum if self.pending_sum is None else self.pending_sum + rows_sum
        self.pending_rows += sum(t[..., 0].numel() for t in teacher)

    @torch.no_grad()
    def step(self) -> None:
        """Move towards the mean of the rows collected, over all processes."""
        if self.pending_sum is None:
            return
        mean = mean_over_processes(self.pending_sum / self.pending_rows)
        self.value.lerp_(mean, 1 - self.momentum)
        self.pending_sum, self.pending_rows = None, 0
