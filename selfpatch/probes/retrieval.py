"""Vectors of images -> how well each finds the images that show the same."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from selfpatch.errors import InputError
from selfpatch.probes.in_context import nearest

LEVELS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "M": (("easy", "hard"), ("junk",)),
    "H": (("hard",), ("junk", "easy")),
    "E": (("easy",), ("junk", "hard")),
}
"""Medium, Hard and Easy: what a query has to find, and what is passed over (Radenovic et al.)."""

DEPTHS = (1, 5, 10)
"""Of so many first images the share that is right is looked at."""

SCALES = (1, 2**-0.5, 0.5)
"""Sizes at which DINO looks at an image, ``multi_scale`` in its utils."""

QUERIES = 1024
"""Queries that are answered at once."""


def at_scales(vectors: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The mean of what stands for images (B, 3, H, W) at :data:`SCALES`: (B, D)."""
    sizes = [
        images if scale == 1 else F.interpolate(images, scale_factor=scale, mode="bilinear")
        for scale in SCALES
    ]
    return torch.stack([vectors(resized) for resized in sizes]).mean(0)


def revisited_metrics(
    ranks: np.ndarray, related: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, float | None]:
    """mAP and mean precisions of the three levels, in percent; None where nothing can be found.

    Args:
        ranks: int64 (Q, M), the numbers of the database's images as each query orders them.
        related: See :class:`selfpatch.data.retrieval.Landmarks`.
    """
    metrics: dict[str, float | None] = {}
    for level, (wanted, passed_over) in LEVELS.items():
        scores = [
            query_scores(
                order,
                np.concatenate([query[kind] for kind in wanted]),
                np.concatenate([query[kind] for kind in passed_over]),
            )
            for order, query in zip(ranks, related, strict=True)
            if any(len(query[kind]) for kind in wanted)
        ]
        means = 100 * np.mean(scores, 0) if scores else [None] * (1 + len(DEPTHS))
        names = [f"mAP-{level}", *(f"mP@{depth}-{level}" for depth in DEPTHS)]
        found = {n: None if m is None else float(m) for n, m in zip(names, means, strict=True)}
        metrics |= found
    firsts = [f"mAP-{level}" for level in LEVELS]
    return {name: metrics[name] for name in (*firsts, *(n for n in metrics if n not in firsts))}


def query_scores(order: np.ndarray, wanted: np.ndarray, passed_over: np.ndarray) -> list[float]:
    """Average precision of one query, and its precision at each depth.

    As the official evaluation has it (``compute_map`` in filipradenovic/revisitop): precision runs
    straight from one found image to the next, so that trapezoids are summed; no depth reaches
    beyond the last image that is wanted.

    Args:
        order: int64 (M,), all images of the database.
        wanted: int64 (n,), some of them.
        passed_over: int64, some others, which count as if they were not there.
    """
    counted = order[~np.isin(order, passed_over)]
    places = np.nonzero(np.isin(counted, wanted))[0]  # from 0 on
    before = np.arange(len(places))
    precision = (before + 1) / (places + 1)
    precision_before = np.where(places == 0, 1, before / np.maximum(places, 1))
    average = ((precision + precision_before) / 2).sum() / len(wanted)
    depths = [min(depth, places[-1] + 1) for depth in DEPTHS]
    return [average, *((places < depth).sum() / depth for depth in depths)]


def leave_one_out(vectors: Tensor, labels: Tensor) -> dict[str, float]:
    """Each image as a query for the others of its class: metrics in percent.

    R is the number of those others; an image that has none is no query. Recall@1 is the share of
    queries whose nearest image is of their class. MAP@R is the mean over the R nearest of the
    precision so far where the class is right, and of 0 where it is not (Musgrave et al., A Metric
    Learning Reality Check, 2020).

    Args:
        vectors: Unit vectors fp32 (M, D).
        labels: int64 (M,).

    Raises:
        InputError: No image has another one of its class.
    """
    others = torch.bincount(labels)[labels] - 1
    queries = others.nonzero()[:, 0]
    if not len(queries):
        raise InputError("no class has two images, so that none could find another; give more")
    most = int(others.max())
    place = torch.arange(1, most + 1, device=vectors.device)
    first = average = torch.zeros((), dtype=torch.float64, device=vectors.device)
    for own in queries.split(QUERIES):
        _, rows = nearest(vectors[own], vectors, most + 1)
        itself = rows == own[:, None]
        # Itself last, or, where so many are equal to it that it is not there, the last one.
        rows = rows.gather(1, itself.to(torch.uint8).argsort(dim=1, stable=True))[:, :-1]
        right = labels[rows] == labels[own, None]
        precision = right.cumsum(1) / place
        within = right & (place <= others[own, None])
        first = first + right[:, 0].sum()
        average = average + (precision * within).sum(1).div(others[own]).double().sum()
    found = {"MAP@R": average, "Recall@1": first}
    return {name: 100 * (total / len(queries)).item() for name, total in found.items()}
