"""MoCo-v3's loss, by hand."""

import pytest
import torch

from selfpatch.objectives.mocov3 import MoCoV3
from tests.objectives.naive import nearest


@torch.no_grad()
def test_mocov3_looks_for_the_other_views_key_in_the_batch():
    moco = MoCoV3(hidden_dim=6, out_dim=5)
    student, teacher = torch.randn(2, 4, 5), torch.randn(2, 4, 5)
    queries = moco.predictor(student)
    rows = [
        nearest(queries[query, b], list(teacher[key]), b, 0.2)
        for query, key in ((0, 1), (1, 0))
        for b in range(4)
    ]
    assert float(moco(student, teacher, 0.04)) == pytest.approx(2 * 0.2 * sum(rows) / 4, rel=1e-4)
