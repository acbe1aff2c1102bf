"""Patches with labels -> the labels of other patches: attention over the most similar ones.

In-context segmentation after Balazevic et al., Towards In-Context Scene Understanding (2023): a
bank of patch features of the training images with the share of each class in their pixels; a patch
of another image takes on the shares of its nearest neighbours in the bank. Nothing is trained.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS, TEMPERATURE = 30, 0.02
"""Neighbours that are read, and the temperature of their similarities (Balazevic et al.)."""

PART = {"cpu": 2**11, "cuda": 2**17}
"""Rows of the bank that are compared at once."""

TILE = 32
"""Rows of a part of which only the most similar one is looked at first."""


class Shares(NamedTuple):
    """The share of each class in the pixels of M patches, without the zeros.

    Attributes:
        starts: int64 (M + 1,), where a patch's classes begin in the others; the last one is E.
        classes: int16 (E,), rising within a patch.
        shares: fp32 (E,), above 0; those of a patch add up to 1, or to 0 where nothing is labelled.
    """

    starts: Tensor
    classes: Tensor
    shares: Tensor

    def __len__(self) -> int:
        return len(self.starts) - 1

    def entries(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """How many classes each of these patches (N,) has, and where they stand, in this order."""
        first, end = self.starts[index], self.starts[index + 1]
        count = end - first
        # Entry e of the n-th patch that is asked for stands at first[n] + e.
        before = (count.cumsum(0) - count).repeat_interleave(count)
        entry = torch.arange(len(before), device=index.device) - before
        return count, entry + first.repeat_interleave(count)

    def taken(self, index: Tensor) -> "Shares":
        """Those of these patches (N,), in this order."""
        count, entry = self.entries(index)
        starts = torch.cat([count.new_zeros(1), count.cumsum(0)])
        return Shares(starts, self.classes[entry], self.shares[entry])

    def mixed(self, index: Tensor, weights: Tensor, num_classes: int) -> Tensor:
        """Weighted sums of the shares of patches.

        Args:
            index: int64 (Q, k), patches.
            weights: fp32 (Q, k).
            num_classes: C.

        Returns:
            (Q, C).
        """
        count, entry = self.entries(index.flatten())
        query = torch.arange(len(index), device=index.device).repeat_interleave(index.shape[1])
        place = query.repeat_interleave(count) * num_classes + self.classes[entry]
        values = weights.flatten().repeat_interleave(count) * self.shares[entry]
        mixed = values.new_zeros(len(index) * num_classes)
        return mixed.index_add_(0, place, values).view(-1, num_classes)


class Bank(NamedTuple):
    """Labelled patches.

    Attributes:
        features: (M, D), unit vectors in fp32 or fp16.
        shares: What their pixels show.
    """

    features: Tensor
    shares: Shares

    def to(self, device: str | torch.device) -> "Bank":
        """The bank on a device."""
        return Bank(self.features.to(device), Shares(*(part.to(device) for part in self.shares)))


def shares_of(labels: Tensor, patch_size: int, num_classes: int) -> Tensor:
    """Label maps -> the share of each class in each patch's labelled pixels.

    Args:
        labels: int64 (B, H, W), whose sides are multiples of the patch; what is not below
            ``num_classes`` is not labelled.
        patch_size: Side of a patch.
        num_classes: C.

    Returns:
        fp32 (B, N, C), patches in row-major order; zeros where no pixel is labelled.
    """
    batch, height, width = labels.shape
    rows, columns = height // patch_size, width // patch_size
    tiles = labels.view(batch, rows, patch_size, columns, patch_size).transpose(2, 3)
    tiles = tiles.reshape(batch * rows * columns, -1)
    counts = torch.zeros(len(tiles), num_classes + 1, device=labels.device)
    tiles = tiles.where((tiles >= 0) & (tiles < num_classes), num_classes)
    counts.scatter_add_(1, tiles, torch.ones_like(tiles, dtype=torch.float32))
    counts = counts[:, :num_classes]
    return (counts / counts.sum(1, keepdim=True).clamp(min=1)).view(batch, rows * columns, -1)


def without_zeros(shares: Tensor) -> Shares:
    """(M, C) -> the same, as :class:`Shares`."""
    row, column = shares.nonzero(as_tuple=True)
    counts = torch.bincount(row, minlength=len(shares))
    starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return Shares(starts, column.to(torch.int16), shares[row, column])


def joined(parts: Sequence[Shares]) -> Shares:
    """Shares of patches, one after the other -> those of all."""
    starts, classes, values = zip(*parts, strict=True)
    counts = torch.cat([own.diff() for own in starts])
    return Shares(
        torch.cat([counts.new_zeros(1), counts.cumsum(0)]), torch.cat(classes), torch.cat(values)
    )


def nearest(queries: Tensor, bank: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k rows of a bank that are most similar to each query, exactly.

    The bank is gone through in parts, so that memory is bounded whatever its size; of each only
    what lies above the k-th greatest value so far is looked at.

    Args:
        queries: fp32 (Q, D).
        bank: (M, D), fp32 or lower.
        k: At most M.

    Returns:
        Inner products fp32 (Q, k), falling, and int64 (Q, k), the rows.
    """
    first = min(64 * k, len(bank))  # few, since all of them are sorted
    best, rows = (queries @ bank[:first].to(queries.dtype).T).topk(k)
    part = PART.get(queries.device.type, PART["cpu"])
    for start, end in pairwise([*range(first, len(bank), part), len(bank)]):
        similarity = queries @ bank[start:end].to(queries.dtype).T
        query, column, value = above(similarity, best[:, -1])
        replace_least(best, rows, query, column + start, value)
    return best, rows


def above(values: Tensor, floor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What of (Q, M) lies above its row's floor (Q,): rows, columns and values, (E,) each.

    Columns are looked at in tiles: first at their maxima, then at the tiles whose maximum is above.
    """
    if values.shape[1] % TILE:
        values = F.pad(values, (0, -values.shape[1] % TILE), value=float("-inf"))
    tiles = values.unflatten(1, (TILE, -1))
    row, tile = (tiles.amax(1) > floor[:, None]).nonzero(as_tuple=True)
    inside = tiles[row, :, tile]
    entry, place = (inside > floor[row, None]).nonzero(as_tuple=True)
    return row[entry], place * tiles.shape[2] + tile[entry], inside[entry, place]


def replace_least(best: Tensor, rows: Tensor, query: Tensor, row: Tensor, value: Tensor) -> None:
    """Let entries take the place of the least of their query's best, where they are greater.

    Args:
        best: (Q, k), falling; changed.
        rows: (Q, k), their rows; changed.
        query: (E,), whose each entry is, rising.
        row: (E,), its row.
        value: (E,), its value.
    """
    k = best.shape[1]
    changed, own, counts = query.unique_consecutive(return_inverse=True, return_counts=True)
    if not len(changed):
        return
    place = torch.arange(len(query), device=query.device) - (counts.cumsum(0) - counts)[own]
    values = best.new_full((len(changed), k + int(counts.max())), float("-inf"))
    found = rows.new_zeros(values.shape)
    values[:, :k], found[:, :k] = best[changed], rows[changed]
    values[own, k + place], found[own, k + place] = value, row
    best[changed], order = values.topk(k)
    rows[changed] = found.gather(1, order)


def read_out(
    features: Tensor,
    bank: Bank,
    num_classes: int,
    k: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """Patches of an image -> the share of each class in each, as its neighbours have it.

    Args:
        features: (N, D), of any length.
        bank: Labelled patches.
        num_classes: C.
        k: Neighbours; all of the bank, if it has fewer.
        temperature: Of the similarities in the softmax.

    Returns:
        fp32 (N, C).
    """
    queries = F.normalize(features.float(), dim=-1)
    similarity, rows = nearest(queries, bank.features, min(k, len(bank.features)))
    weights = (similarity / temperature).softmax(-1)
    return bank.shares.mixed(rows, weights, num_classes)
