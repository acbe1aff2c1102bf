"""J, F and their statistics, by hand and against a naive implementation of the definition."""

import math

import numpy as np
import pytest

from davis_eval.scores import (
    ObjectScores,
    Statistics,
    boundary_accuracy,
    bounding_box,
    dilated,
    edge,
    packed,
    region_similarity,
    score_objects,
    statistics,
    summary,
)
from tests.davis_eval.naive import naive_edge, naive_scores


def square(top: int, left: int, side: int, shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    mask = np.zeros(shape, dtype=np.uint8)
    mask[top : top + side, left : left + side] = 1
    return mask


def test_two_overlapping_squares_by_hand():
    a, b = square(10, 10, 10), square(10, 15, 10)
    ((region, boundary),) = score_objects(a, b, [1])
    assert region == 50 / 150
    assert 0 < boundary < 1
    assert list(score_objects(a, a, [1])) == [(1.0, 1.0)]


@pytest.mark.parametrize(
    ("truth", "result", "expected"),
    [
        (square(0, 0, 0), square(0, 0, 0), (1.0, 1.0)),
        (square(5, 5, 9), square(0, 0, 0), (0.0, 0.0)),
        (square(0, 0, 0), square(5, 5, 9), (0.0, 0.0)),
    ],
)
def test_an_empty_mask_agrees_with_an_empty_mask_only(truth, result, expected):
    assert list(score_objects(truth, result, [1])) == [expected]


def test_a_boundary_one_pixel_off_is_met_within_the_tolerance_and_missed_beyond_it():
    a, b = square(20, 20, 20) > 0, square(20, 23, 20) > 0
    edges = edge(a), edge(b)
    assert boundary_accuracy(*edges, radius=3) == 1.0
    assert boundary_accuracy(*edges, radius=1) < 1.0


@pytest.mark.parametrize("case", range(30))
def test_edges_in_the_box_and_counts_within_the_radius_equal_loops(case):
    draw = np.random.default_rng(case)
    shape = tuple(draw.integers(2, 24, 2))
    masks = [draw.random(shape) < share for share in (0.1, 0.5)]
    radius = int(draw.integers(1, 5))
    box = bounding_box(masks[0] | masks[1])
    if box is None:
        return
    edges = [edge(mask[box]) for mask in masks]
    whole = [naive_edge(mask) for mask in masks]
    for cut, full in zip(edges, whole, strict=True):
        assert np.array_equal(cut, full[box])
        assert cut.sum() == full.sum()
    points = [list(zip(*full.nonzero(), strict=True)) for full in whole]
    near = sum(any(math.dist(p, q) <= radius for q in points[1]) for p in points[0])
    columns = edges[0].shape[1] + radius
    pixels, others = (packed(found, columns) for found in edges)
    assert (pixels & dilated(others, columns, radius)).bit_count() == near


@pytest.mark.parametrize("case", range(10))
def test_every_object_of_a_frame_scores_as_the_definitions_say(case):
    draw = np.random.default_rng(case)
    truth, result = np.zeros((2, 30, 44), dtype=np.uint8)
    for mask in (truth, result):
        for label in (1, 4, 255):
            top, left = draw.integers(0, 25), draw.integers(0, 38)
            mask[top : top + draw.integers(1, 20), left : left + draw.integers(1, 20)] = label
    expected = [naive_scores(truth == label, result == label) for label in (1, 4, 7)]
    for ours, defined in zip(score_objects(truth, result, [1, 4, 7]), expected, strict=True):
        assert ours == pytest.approx(defined, abs=1e-12)


def test_objects_are_scored_apart_and_void_is_nobodys():
    truth, result = square(5, 5, 10), square(5, 5, 10)
    truth[30:40, 30:40], result[30:40, 30:35] = 2, 2
    scores = list(score_objects(truth, result, [1, 2, 3]))
    assert [region for region, _ in scores] == [1.0, 0.5, 1.0]


def test_region_similarity_is_symmetric():
    a, b = square(3, 3, 8) > 0, square(6, 1, 9) > 0
    assert region_similarity(a, b) == region_similarity(b, a)


def test_recall_counts_values_above_a_half_and_decay_compares_quarters():
    values = np.array([1.0, 1.0, 0.8, 0.6, 0.5, 0.4, 0.2, 0.0])
    result = statistics(values)
    assert result.mean == pytest.approx(4.5 / 8)
    assert result.recall == 4 / 8
    # Quarters of 8 values end at 1, 3, 4 (2.75, 4.5, 6.25 rounded), both ends included.
    assert result.decay == pytest.approx(np.mean([1.0, 1.0, 0.8]) - np.mean([0.4, 0.2, 0.0]))


def test_a_summary_is_the_mean_over_objects_and_names_its_sequences():
    def scored(region: float, boundary: float) -> ObjectScores:
        return ObjectScores(Statistics(region, 1.0, 0.0), Statistics(boundary, 0.5, 0.1))

    result = summary(
        {"a_b_1": scored(0.2, 0.4), "a_b_2": scored(0.4, 0.8), "c_1": scored(0.9, 0.9)}
    )
    assert result["J-Mean"] == pytest.approx(0.5)
    assert result["F-Mean"] == pytest.approx(0.7)
    assert result["J&F-Mean"] == pytest.approx(0.6)
    assert set(result["per_sequence"]) == {"a_b", "c"}
    assert result["per_sequence"]["a_b"] == pytest.approx({"J-Mean": 0.3, "F-Mean": 0.6})
    assert result["per_object"]["a_b_2"] == {"J-Mean": 0.4, "F-Mean": 0.8}
