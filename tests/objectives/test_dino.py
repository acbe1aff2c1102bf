"""DINO's image loss (Eq. 6): against a loop over pairs of views, and by hand."""

import math

import pytest
import torch

from selfpatch.objectives.dino import DINO
from tests.objectives.naive import as_logits, naive_cross_entropy


def test_image_loss_equals_a_loop_over_pairs_of_views():
    loss = DINO(num_prototypes=6)
    loss.center.value.copy_(torch.randn(6))
    student, teacher = torch.randn(4, 3, 6), torch.randn(2, 3, 6)
    pairs = [
        naive_cross_entropy(student[v, b], teacher[t, b], loss.center.value, 0.1, 0.07)
        for t in range(2)
        for v in range(4)
        if v != t
        for b in range(3)
    ]
    expected = sum(pairs) / len(pairs)
    whole = loss(as_logits(student), as_logits(teacher), 0.07, 0, 4)
    assert float(whole) == pytest.approx(expected, rel=1e-5)
    runs = (0, student[:2]), (2, student[2:3]), (3, student[3:])
    shares = [loss(as_logits(run), as_logits(teacher), 0.07, first, 4) for first, run in runs]
    assert float(sum(shares)) == pytest.approx(expected, rel=1e-5)


def test_two_prototypes_by_hand():
    """Equal teacher logits make a target of one half each: the loss is ln 2 for an even student."""
    loss = DINO(num_prototypes=2)
    even = as_logits(torch.zeros(2, 1, 2))
    assert float(loss(even, even, 0.04, 0, 2)) == pytest.approx(math.log(2))


def test_center_moves_a_tenth_of_the_way_to_the_mean_of_the_views_it_looks_at():
    teacher = torch.tensor([1.0, 1.0, 4.0]).view(3, 1, 1).expand(3, 2, 5)
    for views, mean in [("all", 2.0), ("global", 1.0)]:
        loss = DINO(num_prototypes=5, center_views=views)
        loss.update(as_logits(teacher))
        loss.finish_step()
        assert loss.center.value.tolist() == pytest.approx([0.1 * mean] * 5)


def test_each_step_moves_the_center_towards_the_mean_of_its_own_batches():
    loss = DINO(num_prototypes=1, center_momentum=0.5)
    steps = [[2.0, 4.0], [6.0, 10.0], [7.0]]
    expected = 0.0
    for batches in steps:
        for logit in batches:
            loss.update(as_logits(torch.full((2, 3, 1), logit)))
        loss.finish_step()
        expected = 0.5 * expected + 0.5 * sum(batches) / len(batches)
        assert loss.center.value.item() == pytest.approx(expected)
    loss.finish_step()  # a step in which nothing was said
    assert loss.center.value.item() == pytest.approx(expected)
