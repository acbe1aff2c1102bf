"""Image logits -> DINO's image loss (Eq. 6 with DINO's distance)."""

from typing import Any

import torch
from torch import Tensor, nn

from selfpatch.errors import InputError
from selfpatch.models.heads import ProjectionHead, PrototypeLogits
from selfpatch.objectives.distillation import Center, cross_entropy
from selfpatch.objectives.objective import Objective, check_positive


class DINO(Objective, name="dino"):
    """Cross-entropy of every student view against the teacher's other, global views.

    Args:
        num_prototypes: K.
        num_global: The first so many views are global: the teacher's targets.
        student_temp: Temperature of the student.
        center_momentum: Momentum of the centre.
        center_views: ``all`` views' teacher logits move the centre, as in the reference of
            SelfPatch, or the ``global`` ones, as in DINO.
        **head: Further arguments of :class:`ProjectionHead`.
    """

    compares_all_views = True

    def __init__(
        self,
        num_prototypes: int,
        num_global: int = 2,
        student_temp: float = 0.1,
        center_momentum: float = 0.9,
        center_views: str = "global",
        **head: Any,
    ) -> None:
        super().__init__()
        if center_views not in ("all", "global"):
            raise InputError(f"center_views must be 'all' or 'global', not {center_views!r}")
        check_positive(num_global=num_global, student_temp=student_temp)
        self.head_arguments = {"num_prototypes": num_prototypes, **head}
        self.num_views = num_global
        self.student_temp = student_temp
        self.centers_all_views = center_views == "all"
        self.center = Center(num_prototypes, center_momentum)

    def build_head(self, embed_dim: int) -> nn.Module:
        """The projection head g."""
        return ProjectionHead(embed_dim, **self.head_arguments)

    def forward(
        self,
        student: PrototypeLogits,
        teacher: PrototypeLogits,
        teacher_temp: float,
        first: int,
        num_views: int,
    ) -> Tensor:
        """Mean cross-entropy over all pairs of a teacher's global view and another student view.

        For the teacher's view t and the student's v != t, the global ones first in both, it is
        -sum_k p_k log q_k with p = softmax((teacher_t - centre) / teacher_temp) and
        q = softmax(student_v / student_temp).
        """
        teacher = teacher[: self.num_views]
        target = torch.arange(len(teacher), device=teacher.vectors.device)[:, None]
        view = torch.arange(first, first + len(student), device=target.device)
        num_pairs = len(teacher) * (num_views - 1)
        pairs = (target != view) / (num_pairs * student.vectors.shape[1])
        temps = self.student_temp, teacher_temp
        return cross_entropy(student, teacher, self.center, *temps, pairs)

    def update(self, teacher: PrototypeLogits) -> None:
        """Collect the teacher's logits (V, B, K) for the centre."""
        self.center.collect(teacher if self.centers_all_views else teacher[: self.num_views])

    def finish_step(self) -> None:
        """Move the centre."""
        self.center.step()
