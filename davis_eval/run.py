"""Backbone and a sequence -> predicted masks on disk, which :mod:`davis_eval.scores` scores."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from davis_eval.features import extract, network_size, resolved, stride
from davis_eval.masks import objects, read_ids, read_mask, visible, write_mask
from davis_eval.propagation import hard_mask, propagate
from davis_eval.sequences import Masks, Sequence
from davis_eval.settings import Settings
from selfpatch.data.images import size_of
from selfpatch.errors import InputError
from selfpatch.models.trunks import Trunk


def silent(done: int, total: int) -> None:
    """No progress is shown."""


@dataclass(frozen=True)
class Stated:
    """What masks in which no two objects overlap say before propagation.

    Attributes:
        folder: Folder that the resulting masks are written to.
        first: The first frame's mask, uint8 (H, W), by the labels 0, 1, ... used here.
        ids: The file's labels, by those used here.
        labels: The first frame's labels per patch: one-hot (num_labels, rows, columns).
        new: Number of a frame -> the labels of what is new in it, and -1 elsewhere.
        too_small: Names of the objects that have no patch.
    """

    folder: Path
    first: np.ndarray
    ids: np.ndarray
    labels: Tensor
    new: dict[int, Tensor]
    too_small: list[str]


def segment(
    backbone: Trunk,
    sequence: Sequence,
    out: Path,
    settings: Settings,
    progress: Callable[[int, int], None] = silent,
    features: Iterable[Tensor] | None = None,
) -> list[str]:
    """Segment one sequence and write a mask per frame into ``out / sequence.name``.

    Objects may appear later: a mask of a frame after the first adds those that are new in it.
    Objects whose masks lie in folders of their own may overlap.

    Args:
        backbone: Backbone, on the device to compute on.
        sequence: Frames, and masks that say what to follow.
        out: Folder to write to.
        settings: Settings, see :class:`Settings`.
        progress: Function that is called with the frames done and their number, after each frame.
        features: The frames' features, if they are known; else they are computed on the way.

    Returns:
        Names of the objects that are too small to win a patch, and so are not followed.

    Raises:
        InputError: A file cannot be read or does not fit the first one.
    """
    width, height = check_sizes(sequence)
    device = next(backbone.parameters()).device
    reading = resolved(settings.reading, backbone)
    pixels = stride(backbone, reading)
    size = network_size(height, width, reading.short_side, pixels)
    grid = (size[0] // pixels, size[1] // pixels)
    known = [
        stated(sequence, masks, out, (height, width), grid, settings.keep_small)
        for masks in sequence.masks
    ]
    if features is None:
        features = extract(backbone, sequence.frames, reading, getattr(torch, settings.dtype))
    for of in known:
        write_mask(of.folder / f"{sequence.frames[0].stem}.png", of.ids[of.first])
    soft = propagate(
        features,
        torch.cat([of.labels for of in known]).to(device),
        settings.propagation,
        {number: labels.to(device) for number, labels in joined(known).items()},
    )
    for done, (frame, labels) in enumerate(zip(sequence.frames[1:], soft, strict=True), 2):
        for of, part in zip(known, labels.split([len(of.ids) for of in known]), strict=True):
            mask = hard_mask(part, pixels).cpu().numpy()
            resized = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
            write_mask(of.folder / f"{frame.stem}.png", of.ids[np.asarray(resized)])
        progress(done, len(sequence.frames))
    return [name for of in known for name in of.too_small]


def stated(
    sequence: Sequence,
    masks: Masks,
    out: Path,
    size: tuple[int, int],
    grid: tuple[int, int],
    keep_small: bool,
) -> Stated:
    """Read the masks that propagation is given.

    Args:
        sequence: The video.
        masks: Its masks, or some of them.
        out: Folder for all results.
        size: (H, W) of its frames.
        grid: (rows, columns) of patches.
        keep_small: See :class:`Settings`.
    """
    read = one_object_mask if masks.object_name else visible_mask
    found = {number: read(path) for number, path in sequence.given(masks)}
    ids = np.array([0, *sorted(set().union(*map(objects, found.values())))], dtype=np.uint8)
    given = {number: ids.searchsorted(mask).astype(np.uint8) for number, mask in found.items()}
    first = given.pop(0, np.zeros(size, dtype=np.uint8))
    labels, small = first_labels(first, grid, len(ids), keep_small)
    new = {}
    for number, mask in new_objects({0: first, **given}).items():
        new[number], further = first_labels(mask, grid, len(ids), keep_small)
        new[number] = objects_only(new[number])
        small += further
    names = [masks.object_name or str(ids[label]) for label in small]
    return Stated(out / sequence.name / masks.object_name, first, ids, labels, new, names)


def visible_mask(path: Path) -> np.ndarray:
    """A mask of all objects, void as background."""
    return visible(read_mask(path))


def one_object_mask(path: Path) -> np.ndarray:
    """A mask of one object, as label 1."""
    return (read_ids(path) > 0).astype(np.uint8)


def joined(known: list[Stated]) -> dict[int, Tensor]:
    """Number of a frame -> the labels of what is new in it in any of the masks."""
    return {
        number: torch.cat([of.new.get(number, torch.full_like(of.labels, -1)) for of in known])
        for number in {number for of in known for number in of.new}
    }


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


def first_labels(
    mask: np.ndarray, grid: tuple[int, int], num_labels: int, keep_small: bool = False
) -> tuple[Tensor, list[int]]:
    """A mask, one label per patch: one-hot (num_labels, rows, columns); and the labels without one.

    Args:
        mask: uint8 (H, W), background 0.
        grid: (rows, columns).
        num_labels: Objects of the video, and the background.
        keep_small: Whether an object without a patch gets the one that it overlaps most.
    """
    patches = np.array(Image.fromarray(mask).resize(grid[::-1], Image.Resampling.NEAREST))
    lost = sorted(set(objects(mask)) - set(objects(patches)))
    if keep_small:
        lost = [label for label in lost if not give_patch(patches, mask, label)]
    labels = F.one_hot(torch.from_numpy(patches).long(), num_labels).permute(2, 0, 1).float()
    return labels, lost


def give_patch(patches: np.ndarray, mask: np.ndarray, label: int) -> bool:
    """Give an object the patch that most of it lies in, unless that is all another object has.

    Args:
        patches: Labels (rows, columns), which are changed.
        mask: Labels (H, W).
        label: The object's.

    Returns:
        Whether there was one to give.
    """
    rows, columns = (
        place * patches.shape[axis] // mask.shape[axis]
        for axis, place in enumerate((mask == label).nonzero())
    )
    overlap = np.bincount(rows * patches.shape[1] + columns, minlength=patches.size)
    for patch in (-overlap).argsort(kind="stable")[: np.count_nonzero(overlap)]:
        owner = patches.flat[patch]
        if owner == 0 or np.count_nonzero(patches == owner) > 1:
            patches.flat[patch] = label
            return True
    return False


def objects_only(labels: Tensor) -> Tensor:
    """One-hot labels, and -1 where only background is, which says nothing of earlier objects."""
    return labels.where(labels[1:].any(0), -1)
