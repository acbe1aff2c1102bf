"""Pairs of images with keypoints -> the share that the most similar features find again.

Zero-shot semantic correspondence as DIFT measures it (Tang et al., Emergent Correspondence from
Image Diffusion, 2023; its ``eval_spair.py``): features are enlarged bilinearly to the size of their
image, and a keypoint goes where the other image's feature is most similar to its own. Enlarged
features are never made: since both are linear, the inner products of patches are enlarged instead,
and divided by the lengths that the enlarged features would have.
"""

from collections import defaultdict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from selfpatch.data.spair import Correspondence, SpairPairs
from selfpatch.models.distributed import own_share, rank, sum_over_processes
from selfpatch.probes.features import PatchFeatures
from selfpatch.probes.pixels import at_pixels, neighbours

ALPHA = 0.1
"""How far from the truth a keypoint still is right, as a share of the longer side of the box."""

MAPS_AT_ONCE = 32
"""Maps of similarities that are enlarged at once."""


def lengths(features: Tensor, grid: int, size: tuple[int, int]) -> Tensor:
    """Lengths of an image's features, enlarged bilinearly: (H, W).

    Args:
        features: (N, D), of a square grid.
        grid: Patches to a side.
        size: Height and width that the grid is enlarged to.
    """
    maps = features.view(grid, grid, -1)
    places = (torch.arange(side, device=features.device) for side in size)
    (top, bottom, down), (left, right, across) = (
        neighbours(at, side, grid) for at, side in zip(places, size, strict=True)
    )
    rows = torch.lerp(maps[top], maps[bottom], down[:, None, None])  # (H, grid, D)
    after = torch.arange(1, grid + 1, device=features.device).clamp(max=grid - 1)
    own, mixed = rows.square().sum(-1), (rows * rows[:, after]).sum(-1)
    before = 1 - across
    squares = before**2 * own[:, left] + across**2 * own[:, right]
    return (squares + 2 * before * across * mixed[:, left]).clamp(min=1e-20).sqrt()


def most_similar(points: Tensor, features: Tensor, grid: int, size: tuple[int, int]) -> Tensor:
    """The pixels of an image whose features are most similar to each of some others.

    Args:
        points: (K, D), features that are looked for.
        features: (N, D), the patches of the image.
        grid: Patches to a side.
        size: Height and width of the image, to which its features are enlarged bilinearly.

    Returns:
        int64 (K, 2), x and y of the greatest cosine similarity. Within half a patch of a border all
        pixels are equal but for rounding, here and in DIFT, and any of them may be it.
    """
    weights = lengths(features, grid, size).reciprocal()
    found = []
    for some in points.split(MAPS_AT_ONCE):
        maps = (some @ features.T).view(1, -1, grid, grid)
        enlarged = F.interpolate(maps, size, mode="bilinear")[0]
        found.append(enlarged.mul_(weights).flatten(1).argmax(1))
    places = torch.cat(found)
    return torch.stack([places % size[1], places // size[1]], dim=1)


def right(pair: Correspondence, predicted: np.ndarray) -> np.ndarray:
    """Which of a pair's keypoints lie near enough to their truth: bool (K,).

    Args:
        pair: The pair.
        predicted: (K, 2), x and y in the target.
    """
    distance = np.linalg.norm(predicted - pair.target_points, axis=1)
    return distance / pair.target_side <= ALPHA


@torch.no_grad()
def correspondences(
    features: PatchFeatures, spair: SpairPairs, batch: int = 16, workers: int = 0
) -> np.ndarray:
    """How many keypoints of each pair are found: int64 (pairs,).

    The features of an image are computed once, though it is in many pairs, and only those of one
    category are in memory. Several processes share the categories.
    """
    counts = torch.zeros(len(spair), dtype=torch.int64)
    quiet = None if rank() == 0 else True
    for category in own_share(spair.categories):
        numbers = [n for n, pair in enumerate(spair.pairs) if pair.category == category]
        pairs = [spair.pairs[number] for number in numbers]
        images = sorted({image for pair in pairs for image in (pair.source, pair.target)})
        patches = dict(features.batches(spair, images, batch, workers, category))
        of_target = defaultdict(list)
        for number in numbers:
            of_target[spair.pairs[number].target].append(number)
        for target, those in tqdm(of_target.items(), category, unit="image", disable=quiet):
            points = [points_of(spair, spair.pairs[n], patches, features.grid) for n in those]
            found = most_similar(
                torch.cat(points), patches[target], features.grid, spair.sizes[target]
            )
            for number, own in zip(those, found.cpu().split(list(map(len, points))), strict=True):
                counts[number] = int(right(spair.pairs[number], own.numpy()).sum())
    return sum_over_processes(counts.to(features.device)).cpu().numpy()


def points_of(
    spair: SpairPairs, pair: Correspondence, patches: dict[int, Tensor], grid: int
) -> Tensor:
    """The features (K, D) of a pair's keypoints in its source."""
    own = patches[pair.source]
    columns, rows = torch.from_numpy(pair.source_points).to(own).T
    return at_pixels(own, grid, rows, columns, spair.sizes[pair.source])


def percentages(spair: SpairPairs, counts: np.ndarray) -> dict[str, tuple[float, float]]:
    """PCK per image and per point, in percent, of each category and, as "all", of all pairs.

    Per image is the mean over pairs of the share of their keypoints that is found; per point is the
    share of all pairs' keypoints together.

    Args:
        spair: The pairs.
        counts: Keypoints of each that are found (pairs,).
    """
    totals = np.array([len(pair.target_points) for pair in spair.pairs])
    categories = np.array([pair.category for pair in spair.pairs])
    of = {name: categories == name for name in spair.categories}
    return {
        name: (
            100 * float((counts[those] / totals[those]).mean()),
            100 * float(counts[those].sum() / totals[those].sum()),
        )
        for name, those in {"all": np.full(len(spair), True), **of}.items()
    }
