"""MoBY: what it looks for and what its queues keep, by hand."""

from typing import Any

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


def layers(head: Any) -> list[tuple]:
    """Kind, widths and bias of each layer of a head."""
    return [
        (type(layer).__name__, layer.in_features, layer.out_features, layer.bias is not None)
        if isinstance(layer, torch.nn.Linear)
        else (type(layer).__name__, getattr(layer, "affine", None))
        for layer in head.mlp
    ]


def test_mobys_heads_are_its_authors():
    """Transformer-SSL, models/moby.py:170-189: two linear layers with bias, no last norm."""
    moby = MoBY()
    norm = ("SyncBatchNorm1d", True)
    for head, width in ((moby.build_head(384), 384), (moby.predictor, 256)):
        assert layers(head) == [
            ("Linear", width, 4096, True), norm, ("ReLU", None), ("Linear", 4096, 256, True)
        ]  # fmt: skip
    assert (moby.temperature, tuple(moby.queues.shape)) == (0.2, (2, 4096, 256))
    torch.testing.assert_close(moby.queues.norm(dim=-1), torch.ones(2, 4096))


@torch.no_grad()
def test_only_the_first_two_views_are_compared_and_kept():
    moby = MoBY(hidden_dim=6, out_dim=5, queue_size=8)
    student, teacher = torch.randn(4, 3, 5), torch.randn(4, 3, 5)
    assert moby(student, teacher, 0.04).equal(moby(student[:2], teacher[:2], 0.04))
    moby.update(teacher)
    torch.testing.assert_close(moby.queues[:, :3], F.normalize(teacher[:2], dim=-1))


@torch.no_grad()
def test_similarities_are_computed_in_fp32():
    moby = MoBY(hidden_dim=6, out_dim=5, queue_size=8)
    moby.predictor = torch.nn.Identity()
    student, teacher = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    queries, keys = (F.normalize(x.double(), dim=-1) for x in (student, teacher))
    expected = 0.0
    for query, key in ((0, 1), (1, 0)):
        others = queries[query] @ moby.queues[key].double().T
        own = (queries[query] * keys[key]).sum(-1, keepdim=True)
        logits = torch.cat([own, others], dim=1) / 0.2
        expected += F.cross_entropy(logits, torch.zeros(3, dtype=torch.int64)).item()
    with torch.autocast("cpu", torch.bfloat16):
        assert moby(student, teacher, 0.04).item() == pytest.approx(expected, rel=1e-6)
