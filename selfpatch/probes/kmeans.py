"""Points -> k centres and the nearest one of each: k-means of as many points as memory holds.

Plain k-means: the sum of squared Euclidean distances falls with every step. Distances come from
products of matrices, a part of the points at a time; sums of points are made in a fixed order, so
that a seed gives the same centres whenever it is used on a device.
"""

from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = {"cpu": 2**20, "cuda": 2**28}
"""Distances that are computed at once; on a CPU as many as its caches hold."""


class Clusters(NamedTuple):
    """What k-means found.

    Attributes:
        centers: (K, D).
        inertia: Sum of the squared distances of the points to their nearest centres.
    """

    centers: Tensor
    inertia: float


def kmeans(
    points: Tensor, num_clusters: int, seed: int, starts: int = 1, iterations: int = 100
) -> Clusters:
    """The best of some runs of Lloyd's algorithm, each from a k-means++ start.

    Args:
        points: fp32 (M, D), M not below ``num_clusters``.
        num_clusters: K.
        seed: Of all draws.
        starts: Runs, of which the one with the least inertia is kept.
        iterations: Most steps of a run; it ends before when no point changes its cluster.
    """
    generator = torch.Generator().manual_seed(seed)
    runs = (
        lloyd(points, spread_points(points, num_clusters, generator), iterations)
        for _ in range(starts)
    )
    return min(runs, key=lambda run: run.inertia)


def lloyd(points: Tensor, centers: Tensor, iterations: int) -> Clusters:
    """Lloyd's algorithm from given centres (K, D): assign, average, until nothing changes."""
    before = None
    for _ in range(iterations):
        labels, distances = nearest_center(points, centers)
        if before is not None and labels.equal(before):
            break
        before = labels
        centers = averaged(points, labels, distances, len(centers))
    _, distances = nearest_center(points, centers)
    return Clusters(centers, distances.double().sum().item())


def nearest_center(points: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest centre of each point, int64 (M,), and its squared distance, (M,).

    Args:
        points: (M, D).
        centers: (K, D).
    """
    labels = torch.empty(len(points), dtype=torch.int64, device=points.device)
    distances = torch.empty_like(points[:, 0])
    half = centers.square().sum(1) / 2
    rows = max(BLOCK[points.device.type] // len(centers), 1)
    for start in range(0, len(points), rows):
        part = slice(start, start + rows)
        # |p - c|^2 / 2 without |p|^2 / 2, which is the same for every centre.
        smallest, labels[part] = torch.addmm(half, points[part], centers.T, alpha=-1).min(1)
        distances[part] = 2 * smallest + points[part].square().sum(1)
    return labels, distances.clamp_(min=0)


def averaged(points: Tensor, labels: Tensor, distances: Tensor, num_clusters: int) -> Tensor:
    """The mean of each cluster's points (K, D).

    A cluster without any is moved to a point that is far from its centre: the farthest one for the
    first such cluster, the next one for the second.

    Args:
        points: (M, D).
        labels: int64 (M,), their clusters.
        distances: (M,), to the centres of these.
        num_clusters: K.
    """
    counts = torch.bincount(labels, minlength=num_clusters)
    # In the order of the points: additions in any order would round differently each time.
    ordered = points[labels.argsort(stable=True)]
    centers = torch.segment_reduce(ordered, "mean", lengths=counts, axis=0)
    empty = (counts == 0).nonzero()[:, 0]
    if len(empty):
        farthest = distances.argsort(descending=True, stable=True)
        centers[empty] = points[farthest[: len(empty)]]
    return centers


def spread_points(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Points that lie far apart, as centres to start from: (count, D).

    k-means++ (Arthur and Vassilvitskii, 2007): the first is drawn at random, each further one with
    a chance proportional to its squared distance to the nearest one so far.
    """
    draws = torch.rand(count, generator=generator, dtype=torch.float64).to(points.device)
    lengths = points.square().sum(1)
    weights = torch.ones_like(lengths)
    chosen = torch.empty(count, dtype=torch.int64, device=points.device)
    for number, draw in enumerate(draws):
        sums = weights.double().cumsum(0)
        place = torch.searchsorted(sums, draw * sums[-1], right=True).clamp(max=len(points) - 1)
        chosen[number] = place
        center = points[place]
        distances = torch.addmv(lengths, points, center, alpha=-2).add_(center.square().sum())
        distances.clamp_(min=0)
        weights = distances if number == 0 else torch.minimum(weights, distances)
    return points[chosen]
