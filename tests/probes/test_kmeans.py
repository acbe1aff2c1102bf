"""k-means against scipy's, a loop over points, and the laws that it obeys."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.cluster.vq import kmeans2

from selfpatch.probes import kmeans as module
from selfpatch.probes.kmeans import averaged, kmeans, lloyd, nearest_center, spread_points


@pytest.fixture(scope="module")
def points():
    """2,000 points around 12 places."""
    generator = torch.Generator().manual_seed(0)
    places = 4 * torch.randn(12, 6, generator=generator)
    around = places[torch.randint(12, (2000,), generator=generator)]
    return around + torch.randn(2000, 6, generator=generator)


def inertia(points: torch.Tensor, centers: np.ndarray | torch.Tensor) -> float:
    """Of points and centres, in double precision and all at once."""
    distances = torch.cdist(points.double(), torch.as_tensor(centers).double())
    return distances.amin(1).square().sum().item()


@pytest.mark.parametrize("steps", [1, 3, 30])
def test_centres_are_scipys_from_the_same_start(points, steps):
    start = points[:40]
    expected, _ = kmeans2(points.numpy(), start.numpy(), iter=steps, minit="matrix")
    found = lloyd(points, start, steps)
    torch.testing.assert_close(found.centers, torch.from_numpy(expected), rtol=1e-4, atol=1e-4)
    assert found.inertia == pytest.approx(inertia(points, expected), rel=1e-5)


@pytest.mark.parametrize("block", [1, 997, 2**20])
def test_the_nearest_centre_is_found_in_blocks_of_any_size(points, block, monkeypatch):
    monkeypatch.setitem(module.BLOCK, "cpu", block)
    few, centers = points[:300], points[300:340]
    distances = torch.cdist(few.double(), centers.double()).square()
    labels, squares = nearest_center(few, centers)
    assert labels.equal(distances.argmin(1))
    torch.testing.assert_close(squares.double(), distances.amin(1), rtol=1e-3, atol=1e-4)


def test_inertia_falls_with_every_step(points):
    start = points[:40]
    steps = [lloyd(points, start, count).inertia for count in range(12)]
    assert all(after <= before for before, after in pairwise(steps))


def test_a_run_ends_where_nothing_changes(points):
    settled = lloyd(points, points[:12], 1000)
    assert lloyd(points, settled.centers, 1).centers.equal(settled.centers)


def test_a_centre_is_the_mean_of_its_points(points):
    labels = torch.arange(2000) % 7
    expected = torch.stack([points[labels == label].mean(0) for label in range(7)])
    found = averaged(points, labels, torch.zeros(2000), 7)
    torch.testing.assert_close(found, expected)


def test_clusters_without_points_move_to_those_that_are_farthest_from_their_centres(points):
    labels = torch.arange(2000) % 2 * 2  # of clusters 0 to 3, 1 and 3 are empty
    distances = torch.zeros(2000)
    distances[7], distances[11] = 2, 3
    found = averaged(points, labels, distances, 4)
    assert found[1].equal(points[11])
    assert found[3].equal(points[7])
    far = torch.cat([points[:12], torch.full((1, 6), 1e3)])  # a centre where no point is
    assert torch.bincount(nearest_center(points, lloyd(points, far, 20).centers)[0]).min() > 0


def test_as_many_clusters_as_different_points_leave_no_distance():
    different = torch.randn(20, 3).repeat(4, 1)
    assert kmeans(different, 20, seed=0).inertia == pytest.approx(0, abs=1e-4)
    assert kmeans(torch.ones(8, 3), 4, seed=0).inertia == 0  # more clusters than can be told apart


def test_a_start_takes_points_by_their_squared_distance():
    # Three heaps: at 0, at 1 with 30 points, at 10 with one, which is drawn 100 / 130 times.
    points = torch.tensor([[0.0]] * 1000 + [[1.0]] * 30 + [[10.0]])
    drawn = []
    for seed in range(400):
        generator = torch.Generator().manual_seed(seed)
        first, second = spread_points(points, 2, generator)[:, 0].tolist()
        if first == 0:
            drawn.append(second)
    assert 0 not in drawn
    assert np.mean([place == 10 for place in drawn]) == pytest.approx(100 / 130, abs=0.06)


def test_a_seed_gives_the_same_centres_and_another_one_others(points):
    one, again, other = (kmeans(points, 30, seed) for seed in (3, 3, 4))
    assert one.centers.equal(again.centers)
    assert not one.centers.equal(other.centers)


def test_the_best_of_several_starts_is_kept(points):
    generator = torch.Generator().manual_seed(5)
    runs = [lloyd(points, spread_points(points, 12, generator), 100).inertia for _ in range(6)]
    assert min(runs) < max(runs)
    assert kmeans(points, 12, seed=5, starts=6).inertia == min(runs)
