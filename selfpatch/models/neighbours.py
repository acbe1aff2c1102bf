"""Tokens -> positives: which patches lie around a patch, and which of them are like it (Eq. 3)."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from selfpatch.errors import InputError

NO_PATCH = -1
"""Stands in an index where there is no further neighbour or positive."""


def check_neighbourhood(size: int | str, border: str) -> None:
    """Refuse what :func:`neighbour_index` does not take.

    Raises:
        InputError: ``size`` is neither odd and at least 3 nor ``all``, or ``border`` is unknown.
    """
    if border not in ("wrap", "clip"):
        raise InputError(f"border must be 'wrap' or 'clip', not {border!r}")
    if size != "all" and (not isinstance(size, int) or size < 3 or size % 2 == 0):
        raise InputError(f"neighbourhood must be odd and at least 3, or 'all', not {size!r}")


@lru_cache(maxsize=64)
def neighbour_index(
    rows: int,
    columns: int,
    size: int | str = 3,
    border: str = "wrap",
    device: torch.device | str = "cpu",
) -> Tensor:
    """The neighbours N(i) of every patch of a grid; made once, and kept on the device.

    Args:
        rows: Rows of the grid.
        columns: Columns of the grid.
        size: Side of the square neighbourhood, odd; 3 gives the 8 adjacent patches, ``all`` every
            other patch of the image.
        border: ``wrap`` continues at the opposite edge, as the reference does; ``clip`` keeps to
            the image.
        device: Where it is needed.

    Returns:
        int64 (rows * columns, M) with M = size**2 - 1, or rows * columns - 1 for ``all``: patch
        indices in rising order, each once and never the patch itself; :data:`NO_PATCH` fills up
        where there are fewer.
    """
    check_neighbourhood(size, border)
    patches = range(rows * columns)
    if size == "all":
        index = [[other for other in patches if other != patch] for patch in patches]
        return torch.tensor(index, device=device)
    size = int(size)
    reach = range(-(size // 2), size // 2 + 1)
    index = []
    for patch in patches:
        row, column = divmod(patch, columns)
        around = [(row + down, column + right) for down in reach for right in reach]
        if border == "clip":
            around = [(r, c) for r, c in around if 0 <= r < rows and 0 <= c < columns]
        found = sorted({r % rows * columns + c % columns for r, c in around} - {patch})
        index.append(found + [NO_PATCH] * (size**2 - 1 - len(found)))
    return torch.tensor(index, device=device)


def fewest_neighbours(rows: int, columns: int, size: int | str = 3, border: str = "wrap") -> int:
    """Neighbours of the patch that has the fewest; arguments as of :func:`neighbour_index`."""
    reach = rows * columns if size == "all" else int(size)
    if border == "clip" and size != "all":
        reach = reach // 2 + 1  # of a patch in a corner
    return min(rows, reach) * min(columns, reach) - 1


def neighbour_similarity(tokens: Tensor, neighbours: Tensor) -> Tensor:
    """Eq. 3: cosine similarity s(i, j) of each patch and its neighbours.

    Args:
        tokens: (B, N, D).
        neighbours: int64 (N, M) from :func:`neighbour_index`.

    Returns:
        (B, N, M), minus infinity where there is no neighbour.
    """
    # One matrix product of all pairs is cheaper than gathering M neighbours of width D.
    directions = F.normalize(tokens.float(), dim=-1)
    similarity = directions @ directions.transpose(1, 2)
    index = neighbours.clamp(min=0).expand(len(tokens), -1, -1)
    return similarity.gather(2, index).masked_fill(neighbours == NO_PATCH, float("-inf"))


def match_positives(tokens: Tensor, neighbours: Tensor, k: int) -> Tensor:
    """The positives P(i): the ``k`` neighbours most similar to each patch.

    Args:
        tokens: (B, N, D).
        neighbours: int64 (N, M) from :func:`neighbour_index`.
        k: How many to keep; a patch with fewer neighbours keeps them all.

    Returns:
        int64 (B, N, min(k, M)): patch indices, most similar first, then :data:`NO_PATCH`.
    """
    similarity = neighbour_similarity(tokens, neighbours)
    rank = similarity.topk(min(k, neighbours.shape[1]), dim=-1).indices
    return neighbours.expand(len(tokens), -1, -1).gather(2, rank)


def mean_of_positives(tokens: Tensor, positives: Tensor) -> Tensor:
    """Tokens (B, N, D), positives int64 (B, N, k) -> their mean per patch (B, N, D)."""
    weights = tokens.new_zeros(*tokens.shape[:2], tokens.shape[1])
    kept = (positives != NO_PATCH).to(tokens.dtype)
    weights.scatter_add_(2, positives.clamp(min=0), kept)
    return weights @ tokens / kept.sum(-1, keepdim=True).clamp(min=1)
