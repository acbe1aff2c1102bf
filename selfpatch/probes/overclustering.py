"""Patches in more clusters than there are classes -> how well the clusters show the classes.

After Leopart (Ziegler and Asano, Self-Supervised Learning of Object Parts, CVPR 2022): features are
standardised, reduced to their principal components and clustered by k-means; each cluster stands
for a class of the labels.
"""

from typing import NamedTuple, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from selfpatch.data.segmented import SegmentedImages
from selfpatch.errors import InputError
from selfpatch.models.distributed import is_distributed, own_share, sum_over_processes
from selfpatch.probes.confusion import segmentation_metrics
from selfpatch.probes.features import PatchFeatures
from selfpatch.probes.kmeans import kmeans, nearest_center

COMPONENTS = 50
"""Principal components that are clustered (Leopart)."""

SAMPLE = 256
"""Patches for each cluster that k-means sees, as faiss draws them."""

STARTS, ITERATIONS = 5, 100
"""Runs of k-means of which the best is kept, and most steps of a run (Leopart)."""

K = TypeVar("K")
V = TypeVar("V")


class Contents(NamedTuple):
    """What the patches of all images show, without the zeros.

    Attributes:
        patches: int64 (E,), a patch.
        classes: int64 (E,), a class in it.
        pixels: fp64 (E,), how many of its pixels have it.
    """

    patches: Tensor
    classes: Tensor
    pixels: Tensor


def projection(
    features: PatchFeatures, scenes: SegmentedImages, batch: int, workers: int
) -> tuple[Tensor, Tensor]:
    """What standardises the patches of these images and reduces them to principal components.

    Returns:
        Offset (D,) and directions (D, P), fp64: ``(patch - offset) @ directions``.
    """
    # Of the patches and 1: all sums in one product.
    sums = torch.zeros(features.width, features.width + 1, dtype=torch.float64)
    sums = sums.to(features.device)
    own_numbers = own_share(range(len(scenes)))
    for _, found in features.batches(scenes, own_numbers, batch, workers, "statistics"):
        own = found.double()
        sums.addmm_(own.T, torch.cat([own, torch.ones_like(own[:, :1])], 1))
    products, total = sum_over_processes(sums).split([features.width, 1], dim=1)
    count = len(scenes) * features.grid**2
    mean = total[:, 0] / count
    covariance = products / count - mean[:, None] * mean
    deviation = covariance.diag().clamp(min=0).sqrt()
    scale = torch.where(deviation > 1e-6, 1 / deviation, 0)  # a channel that is constant is none
    _, vectors = torch.linalg.eigh(scale[:, None] * covariance * scale)
    return mean, scale[:, None] * vectors.flip(1)[:, :COMPONENTS]


def contents_of(labels: np.ndarray, grid: int, num_classes: int) -> Contents:
    """The classes of the pixels (H, W) that are nearest to each patch of a square grid."""
    rows, columns = (
        torch.from_numpy((2 * np.arange(side) + 1) * grid // (2 * side)) for side in labels.shape
    )
    patches = rows[:, None] * grid + columns
    classes = torch.from_numpy(labels)
    counted = classes >= 0
    pairs = patches[counted] * num_classes + classes[counted]
    pixels = torch.bincount(pairs, minlength=grid**2 * num_classes)
    there = pixels.nonzero()[:, 0]
    return Contents(there // num_classes, there % num_classes, pixels[there].double())


def read(
    features: PatchFeatures, scenes: SegmentedImages, batch: int, workers: int
) -> tuple[Tensor, Contents]:
    """The principal components of all patches fp32 (M, P), and what they show."""
    offset, directions = projection(features, scenes, batch, workers)
    each = features.grid**2
    points = torch.zeros(len(scenes) * each, directions.shape[1], device=features.device)
    shown = {}
    own_numbers = own_share(range(len(scenes)))
    for number, found in features.batches(scenes, own_numbers, batch, workers, "components"):
        points[number * each : (number + 1) * each] = (found.double() - offset) @ directions
        own = contents_of(scenes.labels(number), features.grid, scenes.num_classes)
        shown[number] = own._replace(patches=own.patches + number * each)
    parts = zip(*(part for _, part in sorted(of_all(shown).items())), strict=True)
    # Each process fills in the patches of its own images; the others' are 0.
    return sum_over_processes(points), Contents(*map(torch.cat, parts))


def of_all(own: dict[K, V]) -> dict[K, V]:
    """What every process has found, where each has looked after others."""
    if not is_distributed():
        return own
    parts: list[dict[K, V]] = [{}] * dist.get_world_size()
    dist.all_gather_object(parts, own)
    return {key: value for part in parts for key, value in part.items()}


def overlaps(clusters: Tensor, contents: Contents, num_clusters: int, num_classes: int) -> Tensor:
    """Pixels of each class (rows) in each cluster (columns): int64 (C, K).

    They are those of a map of clusters that is enlarged to the size of each label map by the
    nearest patch.

    Args:
        clusters: int64 (M,), of each patch.
        contents: What the patches show.
        num_clusters: K.
        num_classes: C.
    """
    pairs = contents.classes * num_clusters + clusters[contents.patches]
    counts = torch.bincount(pairs, contents.pixels, num_classes * num_clusters)
    return counts.long().view(num_classes, num_clusters)


def matched(overlap: Tensor) -> Tensor:
    """Overlaps (C, K) -> the class of each cluster, int64 (K,).

    As many clusters as classes are matched one to one, so that the sum of the IoUs is greatest; of
    any other number each takes the class of most of its pixels.
    """
    if overlap.shape[0] != overlap.shape[1]:
        return overlap.argmax(0)
    shared = overlap.double()
    union = shared.sum(0) + shared.sum(1, keepdim=True) - shared
    classes, clusters = linear_sum_assignment(shared / union.clamp(min=1), maximize=True)
    return torch.from_numpy(classes)[torch.from_numpy(clusters).argsort()]


def mean_iou(overlap: Tensor) -> float | None:
    """Overlaps (C, K) -> the mIoU of the clusters after :func:`matched`, in percent."""
    matrix = torch.zeros(len(overlap), len(overlap), dtype=torch.int64)
    return segmentation_metrics(matrix.index_add_(1, matched(overlap), overlap))["mIoU"]


def overclustering(
    features: PatchFeatures,
    scenes: SegmentedImages,
    numbers: list[int],
    seeds: list[int],
    batch: int = 16,
    workers: int = 0,
) -> dict[int, list[float | None]]:
    """mIoU of the patches of these images in clusters, in percent.

    Args:
        features: The trunk.
        scenes: The images, whose labels only say what the clusters found show.
        numbers: How many clusters there are; each K is tried alone.
        seeds: Of k-means, a clustering each.
        batch: Images per forward pass.
        workers: Processes that read images.

    Returns:
        K -> the mIoU of each seed; None where nothing is labelled.

    Raises:
        InputError: There are fewer patches than clusters.
    """
    if (there := len(scenes) * features.grid**2) < max(numbers):
        raise InputError(
            f"{len(scenes)} images of {features.size} pixels have {there:,} patches, fewer than"
            f" {max(numbers):,} clusters; give more images, a larger --size or fewer --clusters"
        )
    points, contents = read(features, scenes, batch, workers)
    found = {
        (count, seed): clustered(points, contents, scenes.num_classes, count, seed)
        for count, seed in own_share([(count, seed) for count in numbers for seed in seeds])
    }
    scores = of_all(found)
    return {count: [scores[count, seed] for seed in seeds] for count in numbers}


def clustered(
    points: Tensor, contents: Contents, num_classes: int, count: int, seed: int
) -> float | None:
    """The mIoU of one clustering of all patches, see :func:`overclustering`."""
    centers = kmeans(drawn(points, count, seed), count, seed, STARTS, ITERATIONS).centers
    clusters, _ = nearest_center(points, centers)
    return mean_iou(overlaps(clusters.cpu(), contents, count, num_classes))


def drawn(points: Tensor, num_clusters: int, seed: int) -> Tensor:
    """The points (M, P) that k-means sees: :data:`SAMPLE` for each cluster, or all."""
    if len(points) <= SAMPLE * num_clusters:
        return points
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))
    return points[order[: SAMPLE * num_clusters].to(points.device)]
