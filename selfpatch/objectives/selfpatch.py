"""Patch logits -> the patch loss of SelfPatch (Eq. 7)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from selfpatch.objectives.distillation import Center, cross_entropy
from selfpatch.objectives.objective import check_positive


class SelfPatchLoss(nn.Module):
    """Cross-entropy of each patch of the student against the teacher's summary y^(i) of it.

    Student and teacher see the same view; all views count alike, local ones included.

    Args:
        num_prototypes: K'.
        student_temp: Temperature of the student.
        center_momentum: Momentum of the patches' own centre.
    """

    def __init__(
        self, num_prototypes: int, student_temp: float = 0.1, center_momentum: float = 0.9
    ) -> None:
        super().__init__()
        check_positive(student_temp=student_temp)
        self.student_temp = student_temp
        self.center = Center(num_prototypes, center_momentum)

    def forward(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], teacher_temp: float
    ) -> Tensor:
        """Mean over views of the mean over images and patches (Eq. 7).

        Args:
            student: Tensors (v, B, N, K'), one per run of v equally sized views.
            teacher: Like ``student``; where it saw fewer views, those are the first ones, and the
                student's others do not count.
            teacher_temp: Temperature of the targets.
        """
        losses = []
        for own, summary in zip(student[: len(teacher)], teacher, strict=True):
            targets = self.center.targets(summary, teacher_temp)
            of_patches = cross_entropy(own[: len(summary)], targets, self.student_temp)
            losses.append(of_patches.flatten(1).mean(1))  # (v,)
        return torch.cat(losses).mean()

    def update(self, teacher: Sequence[Tensor]) -> None:
        """Collect the teacher's patches, (v, B, N, K') each, for the centre."""
        self.center.collect(*teacher)

    def finish_step(self) -> None:
        """Move the centre."""
        self.center.step()
