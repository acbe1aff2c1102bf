"""Patch logits -> the patch loss of SelfPatch (Eq. 7)."""

from collections.abc import Sequence

from torch import Tensor, nn

from selfpatch.models.heads import PrototypeLogits
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
        self,
        student: PrototypeLogits,
        teacher: PrototypeLogits,
        teacher_temp: float,
        num_views: int,
    ) -> Tensor:
        """What v equally sized views add to the mean over views, images and patches (Eq. 7).

        Args:
            student: (v or more, B, N, K'); more than the teacher saw do not count.
            teacher: (v, B, N, K').
            teacher_temp: Temperature of the targets.
            num_views: All views that count, of every size.
        """
        rows = teacher.vectors[..., 0].numel()
        weight = len(teacher) / num_views / rows
        own, summaries = (
            PrototypeLogits(logits.vectors[: len(teacher)].flatten(0, 2)[None], logits.layer)
            for logits in (student, teacher)
        )
        pairs = self.center.value.new_full((1, 1), weight)
        return cross_entropy(own, summaries, self.center, self.student_temp, teacher_temp, pairs)

    def update(self, teacher: Sequence[PrototypeLogits]) -> None:
        """Collect the teacher's patches, (v, B, N, K') each, for the centre."""
        self.center.collect(*teacher)

    def finish_step(self) -> None:
        """Move the centre."""
        self.center.step()
