"""J and F as their definitions say, pixel by pixel."""

import math

import numpy as np


def naive_edge(mask: np.ndarray) -> np.ndarray:
    """A pixel is boundary if its right, lower or lower right one differs; borders repeat."""
    rows, columns = mask.shape
    out = np.zeros_like(mask)
    for r in range(rows):
        for c in range(columns):
            right, down = min(c + 1, columns - 1), min(r + 1, rows - 1)
            out[r, c] = mask[r, c] != mask[r, right] or mask[r, c] != mask[down, c]
            out[r, c] |= mask[r, c] != mask[down, right]
    return out


def naive_scores(true: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """J and F of two boolean masks (H, W)."""
    either = (true | found).sum()
    region = (true & found).sum() / either if either else 1.0
    radius = math.ceil(0.008 * math.hypot(*true.shape))
    edges = [list(zip(*naive_edge(mask).nonzero(), strict=True)) for mask in (found, true)]
    if not edges[0] or not edges[1]:
        return float(region), float(len(edges[0]) == len(edges[1]))
    precision, recall = (
        np.mean([any(math.dist(p, q) <= radius for q in others) for p in points])
        for points, others in (edges, edges[::-1])
    )
    total = precision + recall
    return float(region), float(2 * precision * recall / total) if total else 0.0
