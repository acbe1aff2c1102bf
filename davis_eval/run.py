"""Backbone and a sequence -> predicted masks on disk, which :mod:`davis_eval.scores` scores."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from davis_eval.features import extract, network_size, resolved, stride
from davis_eval.masks import objects, read_mask, visible, write_mask
from davis_eval.propagation import hard_mask, propagate
from davis_eval.sequences import Sequence
from davis_eval.settings import Settings
from selfpatch.data.images import size_of
from selfpatch.errors import InputError
from selfpatch.models.trunks import Trunk


def silent(done: int, total: int) -> None:
    """No progress is shown."""


def segment(
    backbone: Trunk,
    sequence: Sequence,
    out: Path,
    settings: Settings,
    progress: Callable[[int, int], None] = silent,
    features: Iterable[Tensor] | None = None,
) -> None:
    """Segment one sequence and write a mask per frame into ``out / sequence.name``.

    Objects may appear later: a mask of a frame after the first adds those that are new in it.

    Args:
        backbone: Backbone, on the device to compute on.
        sequence: Frames, and masks that say what to follow.
        out: Folder to write to.
        settings: Settings, see :class:`Settings`.
        progress: Function that is called with the frames done and their number, after each frame.
        features: The frames' features, if they are known; else they are computed on the way.

    Raises:
        InputError: A file cannot be read or does not fit the first one.
    """
    width, height = check_sizes(sequence)
    stated = {number: visible(read_mask(path)) for number, path in sequence.given()}
    found = sorted(set().union(*(objects(mask) for mask in stated.values())))
    ids = np.array([0, *found], dtype=np.uint8)  # of the file, by the labels 0, 1, ... used here
    given = {number: ids.searchsorted(mask).astype(np.uint8) for number, mask in stated.items()}
    device = next(backbone.parameters()).device
    reading = resolved(settings.reading, backbone)
    pixels = stride(backbone, reading)
    size = network_size(height, width, reading.short_side, pixels)
    grid = (size[0] // pixels, size[1] // pixels)
    labels = first_labels(given[0], grid, len(ids)).to(device)
    new = {
        number: objects_only(first_labels(mask, grid, len(ids))).to(device)
        for number, mask in new_objects(given).items()
    }
    if features is None:
        features = extract(backbone, sequence.frames, reading, getattr(torch, settings.dtype))
    write_mask(out / sequence.name / f"{sequence.frames[0].stem}.png", ids[given[0]])
    soft = propagate(features, labels, settings.propagation, new)
    for done, (frame, segmentation) in enumerate(zip(sequence.frames[1:], soft, strict=True), 2):
        mask = hard_mask(segmentation, pixels).cpu().numpy()
        resized = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
        write_mask(out / sequence.name / f"{frame.stem}.png", ids[np.asarray(resized)])
        progress(done, len(sequence.frames))


def new_objects(given: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Frame -> mask of the objects that no earlier mask holds, for the frames that have some."""
    seen = set(np.unique(given[0]))
    found = {}
    for number, mask in sorted(given.items())[1:]:
        new = set(np.unique(mask)) - seen - {0}
        if new:
            found[number] = np.where(np.isin(mask, list(new)), mask, 0)
            seen |= new
    return found


def check_sizes(sequence: Sequence) -> tuple[int, int]:
    """(width, height) of the video, as the files' headers say, before any work.

    Raises:
        InputError: A frame, or a mask that is given, has another size than the first frame.
    """
    first = size_of(sequence.frames[0])
    for path in (*sequence.frames, *sequence.starts):
        if (size := size_of(path)) != first:
            (height, width), (rows, columns) = size, first
            raise InputError(
                f"{path} is {width}x{height}, but {sequence.frames[0]} is {columns}x{rows}"
            )
    height, width = first
    return width, height


def first_labels(mask: np.ndarray, grid: tuple[int, int], num_labels: int) -> Tensor:
    """A mask, one label per patch: one-hot (num_labels, rows, columns).

    Args:
        mask: uint8 (H, W), background 0.
        grid: (rows, columns).
        num_labels: Objects of the video, and the background.
    """
    small = Image.fromarray(mask).resize(grid[::-1], Image.Resampling.NEAREST)
    labels = torch.from_numpy(np.array(small)).long()
    return F.one_hot(labels, num_labels).permute(2, 0, 1).float()


def objects_only(labels: Tensor) -> Tensor:
    """One-hot labels without their background, which says nothing of objects seen before."""
    labels[0] = 0
    return labels
