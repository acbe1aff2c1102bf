"""Features and first segmentation -> soft segmentations of the following frames."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 16
"""Side, in patches, of the square of targets that share one matrix product."""

GROUP = 16
"""Similarities that are reduced to their maximum before the first selection of the top k."""


@dataclass(frozen=True)
class Propagation:
    """The settings of label propagation; the defaults are the paper's, and DINO's.

    Attributes:
        context_frames: Frames before the current one that it looks at, besides the first frame.
        radius: Patches up, down, left and right of its own place that a patch looks at.
        top_k: Most similar patches, over all context frames together, that are kept.
        temperature: Of the similarities.
    """

    context_frames: int = 7
    radius: int = 12
    top_k: int = 5
    temperature: float = 0.1


def propagate(
    features: Iterable[Tensor], first: Tensor, settings: Propagation = Propagation()
) -> Iterator[Tensor]:
    """Carry the first frame's segmentation through a video.

    A patch of a later frame takes the mean of the labels of the patches it resembles most, among
    those near its place in the first frame and in the frames just before. Memory is that of the
    context frames, however long the video.

    Args:
        features: Per frame, in order, (rows, columns, D); the first frame's first.
        first: (num_labels, rows, columns), one-hot, background first.
        settings: See :class:`Propagation`.

    Yields:
        Per frame after the first, the soft segmentation (num_labels, rows, columns).
    """
    frames = iter(features)
    anchor = (F.normalize(next(frames).float(), dim=-1), first.permute(1, 2, 0))
    recent: deque[tuple[Tensor, Tensor]] = deque(maxlen=settings.context_frames)
    for frame in frames:
        target = F.normalize(frame.float(), dim=-1)
        context = [anchor, *recent]
        sources = torch.stack([source for source, _ in context])
        labels = torch.stack([label for _, label in context])
        soft = propagate_frame(target, sources, labels, settings)
        recent.append((target, soft))
        yield soft.permute(2, 0, 1)


def propagate_frame(
    target: Tensor, sources: Tensor, labels: Tensor, settings: Propagation
) -> Tensor:
    """Label one frame from its context, tile by tile.

    Args:
        target: (rows, columns, D), unit vectors.
        sources: (F, rows, columns, D), unit vectors of the context frames.
        labels: (F, rows, columns, C), their soft segmentations.
        settings: See :class:`Propagation`.

    Returns:
        (rows, columns, C).
    """
    rows, columns, _ = target.shape
    result = labels.new_empty(rows, columns, labels.shape[-1])
    for top in range(0, rows, TILE):
        for left in range(0, columns, TILE):
            bottom, right = min(top + TILE, rows), min(left + TILE, columns)
            halo = (
                slice(max(top - settings.radius, 0), bottom + settings.radius),
                slice(max(left - settings.radius, 0), right + settings.radius),
            )
            near = sources[:, halo[0], halo[1]]
            bias = window_bias(
                (bottom - top, right - left),
                (near.shape[1], near.shape[2]),
                (top - halo[0].start, left - halo[1].start),
                settings.radius,
                target.device,
            )
            result[top:bottom, left:right] = label_tile(
                target[top:bottom, left:right].flatten(0, 1),
                near.flatten(1, 2),
                labels[:, halo[0], halo[1]].flatten(0, 2),
                bias,
                settings,
            ).view(bottom - top, right - left, -1)
    return result


@lru_cache(maxsize=64)
def window_bias(
    tile: tuple[int, int],
    halo: tuple[int, int],
    offset: tuple[int, int],
    radius: int,
    device: torch.device,
) -> Tensor:
    """0 where a source lies in a target's window, else minus infinity.

    Args:
        tile: Rows and columns of the targets.
        halo: Rows and columns of the sources around them.
        offset: Row and column of the first target within the halo.
        radius: Reach of the window.
        device: Where to put it.

    Returns:
        (targets, sources).
    """
    near = []
    for size, sources, start in zip(tile, halo, offset, strict=True):
        own = torch.arange(size, device=device)[:, None] + start
        near.append((own - torch.arange(sources, device=device)).abs() <= radius)
    inside = near[0][:, None, :, None] & near[1][None, :, None, :]
    bias = torch.zeros(inside.shape, device=device).masked_fill_(~inside, -math.inf)
    return bias.view(tile[0] * tile[1], halo[0] * halo[1])


def label_tile(
    target: Tensor, sources: Tensor, labels: Tensor, bias: Tensor, settings: Propagation
) -> Tensor:
    """Label the patches of one tile.

    Args:
        target: (T, D).
        sources: (F, S, D).
        labels: (F * S, C).
        bias: (T, S), see :func:`window_bias`.
        settings: See :class:`Propagation`.

    Returns:
        (T, C).
    """
    # (F, T, S), then each target's similarities to all its sources: (T, F * S)
    similarity = torch.baddbmm(bias, target.expand(len(sources), -1, -1), sources.transpose(1, 2))
    similarity = similarity.transpose(0, 1).flatten(1)
    values, index = largest(similarity, settings.top_k + 1)
    kept = values[:, : settings.top_k]
    weights = ((kept - kept[:, :1]) / settings.temperature).exp()
    weights = weights / weights.sum(1, keepdim=True)
    result = (weights[:, :, None] * labels[index[:, : settings.top_k]]).sum(1)
    # DINO keeps everything that equals the k-th value, as happens where nothing moves.
    if values.shape[1] > settings.top_k:
        last = values[:, settings.top_k - 1]
        tied = (values[:, settings.top_k] == last) & last.isfinite()
        for row in tied.nonzero().flatten().tolist():
            every = similarity[row] >= last[row]
            shares = (similarity[row, every] / settings.temperature).softmax(0)
            result[row] = shares @ labels[every]
    return result


def largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` largest values of each row and their places, in falling order.

    The largest k values of a row lie in the k groups of it with the largest maxima. Selecting
    groups first reads every value once, at the speed of memory, and sorts few.

    Args:
        values: (R, N).
        k: How many; all N if there are fewer.

    Returns:
        Values and int64 places, each (R, min(k, N)).
    """
    rows, size = values.shape
    if size <= 2 * k * GROUP:
        return values.topk(min(k, size), dim=1)
    whole = size // GROUP * GROUP
    groups = values[:, :whole].unflatten(1, (-1, GROUP))
    best = groups.amax(2).topk(k, dim=1).indices
    places = (best[:, :, None] * GROUP + torch.arange(GROUP, device=values.device)).flatten(1)
    rest = torch.arange(whole, size, device=values.device).expand(rows, -1)
    places = torch.cat([places, rest], dim=1)
    found, order = values.gather(1, places).topk(k, dim=1)
    return found, places.gather(1, order)


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
    return stretched.argmax(0).to(torch.uint8)
