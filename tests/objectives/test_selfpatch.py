"""The patch loss (Eq. 7), view by view."""

import pytest
import torch

from selfpatch.objectives.selfpatch import SelfPatchLoss
from tests.objectives.naive import as_logits, naive_cross_entropy


def test_patch_loss_counts_every_view_alike():
    loss = SelfPatchLoss(num_prototypes=5)
    student = [torch.randn(2, 3, 9, 5), torch.randn(1, 3, 4, 5)]
    teacher = [torch.randn_like(logits) for logits in student]
    per_view = []
    for own, summary in zip(student, teacher, strict=True):
        for view in range(len(own)):
            rows = zip(own[view].flatten(0, 1), summary[view].flatten(0, 1), strict=True)
            values = [naive_cross_entropy(s, t, loss.center.value, 0.1, 0.04) for s, t in rows]
            per_view.append(sum(values) / len(values))
    shares = [
        loss(as_logits(own), as_logits(summary), 0.04, num_views=3)
        for own, summary in zip(student, teacher, strict=True)
    ]
    assert float(sum(shares)) == pytest.approx(sum(per_view) / 3, rel=1e-5)


def test_the_patches_own_center_moves_a_tenth_of_the_way():
    loss = SelfPatchLoss(num_prototypes=2)
    for _ in range(2):
        runs = torch.full((2, 3, 9, 2), 1.0), torch.full((1, 3, 36, 2), 4.0)
        loss.update([as_logits(run) for run in runs])
        loss.finish_step()
    mean = (2 * 3 * 9 * 1.0 + 3 * 36 * 4.0) / (2 * 3 * 9 + 3 * 36)
    assert loss.center.value.tolist() == pytest.approx([0.1 * mean * 1.9] * 2)
