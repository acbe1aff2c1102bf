"""Features and first segmentation -> soft segmentations of the following frames.

:func:`label_frame_densely` is the definition. :func:`label_frame` gives the same labels tile by
tile, in a fraction of the time and memory; it is what :func:`propagate` runs.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from davis_eval.settings import Propagation


def label_frame_densely(
    target: Tensor, sources: Sequence[Tensor], labels: Tensor, settings: Propagation
) -> Tensor:
    """Label one frame from its context: what is computed, with all similarities at once.

    A patch takes the mean label of the ``top_k`` patches that it resembles most in its window of
    the context frames, weighted by a softmax over their similarities. Where several equal the
    k-th best, all of them are kept, as in DINO's ``eval_video_segmentation.py``.

    Args:
        target: (rows, columns, D), unit vectors.
        sources: Per context frame, unit vectors (rows, columns, D).
        labels: (F, rows, columns, C), the soft segmentations of the F context frames.
        settings: Settings, see :class:`Propagation`.

    Returns:
        (rows, columns, C).
    """
    rows, columns, _ = target.shape  # N = rows * columns patches per frame
    axes = (torch.arange(side, device=target.device) for side in (rows, columns))
    places = torch.cartesian_prod(*axes).float()  # (N, 2)
    near = torch.cdist(places, places, p=math.inf) <= settings.radius  # (N, N)
    context = torch.cat([source.flatten(0, 1) for source in sources])  # (F * N, D)
    similarity = target.flatten(0, 1) @ context.T  # (N, F * N)
    similarity.masked_fill_(~near.repeat(1, len(sources)), -math.inf)
    best = similarity.topk(min(settings.top_k, len(context)), dim=1).values  # (N, top_k)
    similarity.masked_fill_(similarity < best[:, -1:], -math.inf)
    weights = (similarity / settings.temperature).softmax(1)  # (N, F * N)
    return (weights @ labels.flatten(0, 2)).view(rows, columns, -1)


def propagate(
    features: Iterable[Tensor],
    first: Tensor,
    settings: Propagation,
    later: Mapping[int, Tensor] | None = None,
) -> Iterator[Tensor]:
    """Carry the first frame's segmentation through a video.

    A patch of a later frame takes the mean of the labels of the patches it resembles most, among
    those near its place in the first frame and in the frames just before. Memory is that of the
    context frames, however long the video.

    Args:
        features: Features (rows, columns, D) of each frame, in order, the first frame's included.
        first: (num_labels, rows, columns), one-hot, background first; of several such, one after
            the other, each goes its own way.
        settings: Settings, see :class:`Propagation`.
        later: Number of a frame, counted from 0 -> what is new in it: like ``first``, but -1
            wherever nothing new is seen. Such a frame stays in the context as the first one does.

    Yields:
        Per frame after the first, the soft segmentation (num_labels, rows, columns).
    """
    frames = iter(features)
    pool = tile_threads(first.device)
    anchors = [(F.normalize(next(frames).float(), dim=-1), first.permute(1, 2, 0))]
    recent: deque[tuple[Tensor, Tensor]] = deque(maxlen=settings.context_frames)
    for number, frame in enumerate(frames, start=1):
        target = F.normalize(frame.float(), dim=-1)
        sources, labels = zip(*anchors, *recent, strict=True)
        soft = label_frame(target, sources, torch.stack(labels), settings, pool)
        if later and number in later:
            new = later[number].permute(1, 2, 0)
            soft = torch.where(new < 0, soft, new)
            anchors.append((target, soft))
        recent.append((target, soft))
        yield soft.permute(2, 0, 1)


def tile_threads(device: torch.device) -> ThreadPoolExecutor:
    """Threads that label tiles: one per core, each computing alone, or a single one for a GPU.

    A tile is too small to be shared out well within each of its operations.
    """
    if device.type != "cpu":
        return ThreadPoolExecutor(1)
    return ThreadPoolExecutor(torch.get_num_threads(), "tile", torch.set_num_threads, (1,))


TILE = 13
"""Side of the square of targets that share a matrix product, in patches.

Smaller tiles compute fewer similarities that no window needs, but their products, copies and top-k
run slower. On CPUs, at 832x480 pixels, 13 took up to a tenth less time than 16.
"""


def label_frame(
    target: Tensor,
    sources: Sequence[Tensor],
    labels: Tensor,
    settings: Propagation,
    pool: ThreadPoolExecutor,
) -> Tensor:
    """Label one frame as :func:`label_frame_densely` does, on the threads of ``pool``.

    It goes tile by tile; all patches of a tile look at one halo, the tile and ``radius`` patches
    around it.
    """
    rows, columns, _ = target.shape
    tiles = [
        (slice(top, min(top + TILE, rows)), slice(left, min(left + TILE, columns)))
        for top in range(0, rows, TILE)
        for left in range(0, columns, TILE)
    ]

    def seen(tile: tuple[slice, slice]) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
        """What :func:`label_tile` is given."""
        halo = tuple(
            slice(max(side.start - settings.radius, 0), min(side.stop + settings.radius, size))
            for side, size in zip(tile, (rows, columns), strict=True)
        )
        bias = window_bias(*map(_bounds, (*tile, *halo)), settings.radius, target.device)
        near = [source[halo].flatten(0, 1) for source in sources]
        return target[tile].flatten(0, 1), near, labels[:, halo[0], halo[1]].flatten(0, 2), bias

    waits = read_waits(target.device)

    @torch.inference_mode()
    def label(tile: tuple[slice, slice]) -> Labelled:
        given = seen(tile)
        found = label_tile(*given, settings)
        return found if waits or not found.tied.any() else label_with_ties(*given, found, settings)

    @torch.inference_mode()
    def label_again(at: int) -> Labelled:
        return label_with_ties(*seen(tiles[at]), labelled[at], settings)

    labelled = list(pool.map(label, tiles))
    # Where a read waits, this is the only one; elsewhere no ties are left.
    tied = torch.stack([found.tied.any() for found in labelled]).tolist()
    again = [at for at, some in enumerate(tied) if some]
    for at, found in zip(again, pool.map(label_again, again), strict=True):
        labelled[at] = found
    result = torch.empty_like(labels[0])
    for tile, found in zip(tiles, labelled, strict=True):
        result[tile] = found.labels.view_as(result[tile])
    return result


def read_waits(device: torch.device) -> bool:
    """Whether reading a value waits until the device has done all that it was given."""
    return device.type != "cpu"


def _bounds(side: slice) -> tuple[int, int]:
    return side.start, side.stop


@lru_cache(maxsize=256)
def window_bias(
    tile_rows: tuple[int, int],
    tile_columns: tuple[int, int],
    halo_rows: tuple[int, int],
    halo_columns: tuple[int, int],
    radius: int,
    device: torch.device,
) -> Tensor:
    """0 where a source lies in a target's window, else minus infinity.

    Args:
        tile_rows: First row of the targets and the one after the last.
        tile_columns: Their first column and the one after the last.
        halo_rows: First row of the sources and the one after the last.
        halo_columns: Their first column and the one after the last.
        radius: Reach of the window.
        device: Device to put the result on.

    Returns:
        (targets, sources).
    """
    near = [
        (torch.arange(*tile)[:, None] - torch.arange(*halo)).abs() <= radius
        for tile, halo in ((tile_rows, halo_rows), (tile_columns, halo_columns))
    ]
    inside = (near[0][:, None, :, None] & near[1][None, :, None, :]).flatten(2).flatten(0, 1)
    return torch.zeros(inside.shape).masked_fill_(~inside, -math.inf).to(device)


class Labelled(NamedTuple):
    """What a tile's T patches are labelled.

    Attributes:
        labels: (T, C).
        tied: Whether a source was left out that is as similar as the last kept one (T,).
        least: Similarity of the last kept one (T, 1).
    """

    labels: Tensor
    tied: Tensor
    least: Tensor


def label_tile(
    target: Tensor, near: list[Tensor], labels: Tensor, bias: Tensor, settings: Propagation
) -> Labelled:
    """Label the T patches of one tile from the S patches of its halo in each context frame.

    Args:
        target: (T, D).
        near: The halo (S, D) in each of the F context frames.
        labels: (F * S, C), the labels of the halo.
        bias: (T, S), see :func:`window_bias`.
        settings: Settings, see :class:`Propagation`.

    Returns:
        Labels from no more than ``top_k`` sources each, and where more of them tie.
    """
    k, num_sources = settings.top_k, len(near[0])
    # One place more than is kept shows whether the last kept value occurs again. The best of all
    # frames are among the best of each, so one frame's similarities are held at a time.
    best = [  # F times values and indices (T, k + 1)
        torch.addmm(bias, target, source.T).topk(min(k + 1, num_sources), dim=1) for source in near
    ]
    values = torch.cat([frame.values for frame in best], dim=1)  # (T, F * (k + 1))
    places = torch.cat([f.indices + i * num_sources for i, f in enumerate(best)], dim=1)  # likewise
    values, order = values.topk(min(k + 1, values.shape[1]), dim=1)  # (T, k + 1)
    kept, places = values[:, :k], places.gather(1, order[:, :k])  # (T, k)
    weights = (kept / settings.temperature).softmax(1)  # (T, k)
    result = (weights[:, :, None] * labels[places]).sum(1)  # (T, k, C) -> (T, C)
    # Nothing is left out of fewer values than are kept; a tie of what no window holds is none.
    tied = ((values[:, k:] == kept[:, -1:]) & values[:, k:].isfinite()).any(1)  # (T,)
    return Labelled(result, tied, kept[:, -1:])


def label_with_ties(
    target: Tensor,
    near: list[Tensor],
    labels: Tensor,
    bias: Tensor,
    found: Labelled,
    settings: Propagation,
) -> Labelled:
    """Label the tied patches of a tile from every source as similar as the last kept one, or more.

    DINO keeps all that equal the k-th value, which happens where nothing moves in the video.
    Arguments are those of :func:`label_tile`, and what it returned.
    """
    similarity = torch.cat([torch.addmm(bias, target, source.T) for source in near], dim=1)
    similarity.masked_fill_(similarity < found.least, -math.inf)
    with_ties = (similarity / settings.temperature).softmax(1) @ labels  # (T, F * S) @ (F * S, C)
    mended = torch.where(found.tied[:, None], with_ties, found.labels)
    return Labelled(mended, torch.zeros_like(found.tied), found.least)


def hard_mask(soft: Tensor, patch_size: int) -> Tensor:
    """Soft segmentation -> labels in the size of the frame that the network saw.

    Args:
        soft: (num_labels, rows, columns).
        patch_size: Pixels per patch.

    Returns:
        uint8 (rows * patch_size, columns * patch_size): upsampled bilinearly, each channel
        stretched to [0, 1], the largest one taken.
    """
    fine = F.interpolate(soft[None], scale_factor=patch_size, mode="bilinear")[0]
    low, high = fine.amin((1, 2), keepdim=True), fine.amax((1, 2), keepdim=True)
    # A channel without any label stays as it is, at zero.
    stretched = (fine - low) / (high - low).clamp(min=torch.finfo(fine.dtype).tiny)
    # Like argmax, of equal values the first, but many times faster on a CPU.
    return stretched.max(0).indices.to(torch.uint8)
