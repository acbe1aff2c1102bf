"""Backbone and sequences -> predicted masks on disk."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from davis_eval.features import Reading, extract, network_size, resolved, stride
from davis_eval.masks import objects, read_mask, visible, write_mask
from davis_eval.propagation import Propagation, hard_mask, propagate
from davis_eval.sequences import Sequence
from selfpatch.atomic import atomic_write
from selfpatch.backbones.file import BackboneInfo
from selfpatch.data.images import size_of
from selfpatch.errors import InputError
from selfpatch.models.trunks import Trunk

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Settings:
    """All that decides what masks a backbone gives.

    Attributes:
        propagation: Settings of the labels' propagation.
        reading: Which features are read.
        dtype: Precision of the backbone's computation, ``float32`` or ``bfloat16``.
    """

    propagation: Propagation = field(default_factory=Propagation)
    reading: Reading = field(default_factory=Reading)
    dtype: str = "float32"


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
    given = {number: visible(read_mask(path)) for number, path in sequence.given()}
    ids = np.array([0, *sorted(set().union(*(objects(mask) for mask in given.values())))])
    given = {number: ids.searchsorted(mask).astype(np.uint8) for number, mask in given.items()}
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
        features = extract(backbone, sequence.frames, reading, DTYPES[settings.dtype])
    ids = ids.astype(np.uint8)
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


@dataclass(frozen=True)
class Stamp:
    """What a video's masks were made of, kept beside them.

    Attributes:
        fingerprint: The backbone's, which covers weights and architecture.
        inputs: SHA-256 of the frames' names and sizes in bytes and of the given masks' content.
        settings: Settings of features and propagation.
    """

    fingerprint: str
    inputs: str
    settings: Settings

    def content(self) -> dict[str, Any]:
        """The stamp as it comes back from JSON."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content


def stamp(sequence: Sequence, info: BackboneInfo, settings: Settings) -> Stamp:
    """The stamp of this video, backbone and settings."""
    found = hashlib.sha256()
    for frame in sequence.frames:
        found.update(f"{frame.name} {frame.stat().st_size};".encode())
    for mask in sequence.starts:
        found.update(mask.name.encode() + mask.read_bytes())
    return Stamp(info.fingerprint, found.hexdigest(), settings)


def seconds_spent(out: Path, sequence: Sequence, wanted: Stamp) -> float | None:
    """Seconds that these masks took; None if they are not all there or not made of this.

    A mask that cannot be read is not there.
    """
    folder = out / sequence.name
    try:
        found = json.loads((folder / "finished.json").read_text())
        seconds = float(found.pop("seconds"))
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    if found != wanted.content():
        return None
    try:
        for frame in sequence.frames:
            read_mask(folder / f"{frame.stem}.png")
    except InputError:
        return None
    return seconds


def mark_finished(out: Path, sequence: Sequence, made_of: Stamp, seconds: float) -> None:
    """Note beside the masks what they were made of, and how long it took."""
    with atomic_write(out / sequence.name / "finished.json", "w") as file:
        json.dump({**made_of.content(), "seconds": seconds}, file)


class Stopwatch:
    """Frames per second and time left, for one line of a terminal."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Rewrite the line."""
        seconds = time.monotonic() - self.started
        rate = done / seconds
        left = f"{(total - done) / rate:4.0f} s left" if done < total else f"{seconds:4.0f} s"
        line = f"{self.name:<20} {done:4d}/{total} frames  {rate:5.1f}/s  {left}"
        if done == total:
            print(f"\r{line}     ")
        elif sys.stdout.isatty():
            print(f"\r{line}     ", end="", flush=True)
