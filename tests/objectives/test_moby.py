"""MoBY: what it looks for and what its queues keep, by hand."""

import pytest
import torch
import torch.nn.functional as F

from selfpatch.objectives.moby import MoBY
from tests.objectives.naive import nearest


@torch.no_grad()
def test_moby_looks_for_the_other_views_key_among_that_views_queue():
    moby = MoBY(hidden_dim=6, out_dim=5, queue_size=8)
    student, teacher = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    queries = moby.predictor(student)
    losses = []
    for query, key in ((0, 1), (1, 0)):
        rows = [
            nearest(queries[query, b], [teacher[key, b], *moby.queues[key]], 0, 0.2)
            for b in range(3)
        ]
        losses.append(sum(rows) / 3)
    assert float(moby(student, teacher, 0.04)) == pytest.approx(sum(losses), rel=1e-4)


def test_moby_queues_keep_the_newest_keys_of_each_view():
    moby = MoBY(hidden_dim=6, out_dim=5, queue_size=8)
    keys = [torch.randn(2, 3, 5) for _ in range(4)]
    for step in keys:
        moby.update(step)
    newest = F.normalize(torch.cat(keys, dim=1)[:, -8:], dim=-1)
    places = [(4 * 3 - 8 + i) % 8 for i in range(8)]
    torch.testing.assert_close(moby.queues[:, places], newest)
    assert int(moby.position) == 4 * 3 % 8
