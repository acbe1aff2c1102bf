"""Eq. 3: neighbours and positives, against plain loops and cases worked by hand."""

import pytest
import torch
import torch.nn.functional as F

from selfpatch.models.neighbours import (
    NO_PATCH,
    fewest_neighbours,
    match_positives,
    mean_of_positives,
    neighbour_index,
)


def test_corner_patch_wraps_to_the_opposite_edge():
    assert neighbour_index(rows=3, columns=4)[0].tolist() == [1, 3, 4, 5, 7, 8, 9, 11]


def test_clipped_corner_has_three_neighbours():
    corner = neighbour_index(rows=3, columns=4, border="clip")[0].tolist()
    assert corner == [1, 4, 5] + [NO_PATCH] * 5


def test_a_grid_smaller_than_the_neighbourhood_names_each_patch_once():
    assert neighbour_index(rows=2, columns=2)[0].tolist() == [1, 2, 3] + [NO_PATCH] * 5


@pytest.mark.parametrize(("side", "share"), [(14, 0.265), (6, 0.556)])
def test_share_of_patches_with_a_wrapped_neighbour_is_the_stated_one(side, share):
    wrapped = neighbour_index(side, side) != neighbour_index(side, side, border="clip")
    assert wrapped.any(1).float().mean().item() == pytest.approx(share, abs=5e-4)


@pytest.mark.parametrize("border", ["wrap", "clip"])
@pytest.mark.parametrize("size", [3, 5])
def test_being_neighbours_is_mutual(size, border):
    index = neighbour_index(5, 6, size, border)
    pairs = {(i, j) for i, row in enumerate(index.tolist()) for j in row if j != NO_PATCH}
    assert pairs == {(j, i) for i, j in pairs}
    assert all(i != j for i, j in pairs)


@pytest.mark.parametrize("border", ["wrap", "clip"])
def test_positives_are_the_most_similar_neighbours(border):
    """Eq. 3 in loops, on a grid that is not square."""
    rows, columns, k = 4, 5, 4
    tokens = torch.randn(2, rows * columns, 7)
    index = neighbour_index(rows, columns, border=border)
    positives = match_positives(tokens, index, k)
    for image in range(2):
        for i in range(rows * columns):
            scores = {
                j: float(F.cosine_similarity(tokens[image, i], tokens[image, j], dim=0))
                for j in index[i].tolist()
                if j != NO_PATCH
            }
            best = sorted(scores, key=lambda j: -scores[j])[:k]
            best += [NO_PATCH] * (k - len(best))
            assert positives[image, i].tolist() == best


def test_every_other_patch_is_a_neighbour_when_asked_for_all():
    index = neighbour_index(2, 3, "all")
    assert index[2].tolist() == [0, 1, 3, 4, 5]
    assert index.shape == (6, 5)


def test_mean_of_positives_leaves_out_places_without_a_patch():
    tokens = torch.arange(6.0).view(1, 3, 2)
    positives = torch.tensor([[[1, 2], [0, NO_PATCH], [0, 1]]])
    expected = torch.stack([tokens[0, 1:].mean(0), tokens[0, 0], tokens[0, :2].mean(0)])
    torch.testing.assert_close(mean_of_positives(tokens, positives)[0], expected)


@pytest.mark.parametrize("border", ["wrap", "clip"])
@pytest.mark.parametrize("size", [3, 5, "all"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 4), (2, 2), (2, 7), (3, 3), (6, 5)])
def test_the_fewest_neighbours_are_those_of_the_index(rows, columns, size, border):
    index = neighbour_index(rows, columns, size, border)
    counted = (index != NO_PATCH).sum(1).min()
    assert fewest_neighbours(rows, columns, size, border) == counted
