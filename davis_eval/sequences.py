"""DAVIS folder -> sequences: which frames and masks there are, in which order."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from selfpatch.data.images import read_stored
from selfpatch.errors import InputError


@dataclass(frozen=True)
class Sequence:
    """One video.

    Attributes:
        name: Its name.
        frames: Images in order.
        masks: Annotations in order.
        starts: Annotations that propagation is given; in DAVIS the first frame's.
    """

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Path, ...]
    starts: tuple[Path, ...]

    def given(self) -> list[tuple[int, Path]]:
        """Number of the frame, and path, of each mask that propagation is given."""
        numbers = {frame.stem: number for number, frame in enumerate(self.frames)}
        return [(numbers[path.stem], path) for path in self.starts]


def read_names(davis: Path, year: str = "2017", split: str = "val") -> list[str]:
    """The names listed in ``ImageSets/<year>/<split>.txt``.

    Raises:
        InputError: The list is missing or empty.
    """
    path = davis / "ImageSets" / year / f"{split}.txt"
    if not path.is_file():
        raise InputError(f"{path} does not exist; {davis} is not in DAVIS's layout")
    names = read_list(path)
    if not names:
        raise InputError(f"{path} lists no sequence")
    check_names(names, path)
    return names


def read_list(path: Path) -> list[str]:
    """The lines of a text that are not empty, with or without a byte-order mark.

    Raises:
        InputError: It is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error.reason}); save it as such") from None
    return [line.strip() for line in lines if line.strip()]


def check_names(names: Iterable[str], source: Path) -> None:
    """Raise InputError unless each name is that of one folder, and none comes twice."""
    seen: set[str] = set()
    for name in names:
        harmless = name.isprintable() and not set(name) & set("/\\")
        if name in (".", "..") or not harmless or len(name.encode()) > 200:
            raise InputError(f"{source} lists {name[:80]!r}, which is no name of a sequence")
        if name in seen:
            raise InputError(f"{source} lists {name} twice; keep one of the lines")
        seen.add(name)


def find_sequence(davis: Path, name: str, resolution: str = "480p") -> Sequence:
    """Frames and masks of one sequence.

    Raises:
        InputError: A folder, the first mask or a frame is missing.
    """
    frames = files_in_order(davis / "JPEGImages" / resolution / name, (".jpg", ".jpeg", ".png"))
    masks = find_masks(davis, name, resolution)
    if masks[0].stem != frames[0].stem:
        first = masks[0].with_name(f"{frames[0].stem}.png")
        raise InputError(f"{first} does not exist; the first frame's mask starts the propagation")
    check_frames_of(masks, frames)
    check_gaps(frames, name)
    return Sequence(name, tuple(frames), tuple(masks), (masks[0],))


def check_frames_of(masks: list[Path], frames: list[Path]) -> None:
    """Raise InputError for a mask without its frame."""
    stems = {frame.stem for frame in frames}
    for mask in masks:
        if mask.stem not in stems:
            frame = frames[0].with_name(f"{mask.stem}{frames[0].suffix}")
            raise InputError(f"{frame} does not exist; {mask} is its mask")


def check_gaps(frames: list[Path], name: str) -> None:
    """Raise InputError where a frame is missing: all are as far apart as the nearest two.

    Videos are also kept with every fifth or tenth frame only.
    """
    if not all(re.fullmatch("[0-9]+", frame.stem) for frame in frames):
        return
    numbers = [int(frame.stem) for frame in frames]
    step = min((after - before for before, after in pairwise(numbers)), default=0)
    for before, after in pairwise(numbers):
        if after - before != step:
            missing = f"{before + step:0{len(frames[0].stem)}d}{frames[0].suffix}"
            raise InputError(
                f"{frames[0].with_name(missing)} does not exist; {name} has frames before and"
                " after it"
            )


def youtube_vos_names(folder: Path) -> list[str]:
    """The videos of a folder in YouTube-VOS's layout: ``JPEGImages/<video>/<frame>.jpg``.

    Raises:
        InputError: There is none.
    """
    frames = folder / "JPEGImages"
    names = (
        sorted(path.name for path in frames.iterdir() if path.is_dir()) if frames.is_dir() else []
    )
    if not names:
        raise InputError(f"{frames} holds no video; {folder} is not in YouTube-VOS's layout")
    return names


def find_youtube_vos_sequence(folder: Path, name: str) -> Sequence:
    """Frames and masks of a video whose objects may appear late.

    The video begins with its first mask. Every mask of ``Annotations/<video>`` is given; what it
    holds of objects that were seen before is left aside.

    Raises:
        InputError: A folder is missing, or a mask has no frame.
    """
    frames = files_in_order(folder / "JPEGImages" / name, (".jpg", ".jpeg", ".png"))
    masks = files_in_order(folder / "Annotations" / name, (".png",))
    check_frames_of(masks, frames)
    start = [frame.stem for frame in frames].index(masks[0].stem)
    used = frames[start:]
    return Sequence(name, tuple(used), tuple(masks), tuple(masks))


def find_masks(
    davis: Path, name: str, resolution: str = "480p", annotations: str = "Annotations"
) -> list[Path]:
    """The annotations of one sequence, in order."""
    return files_in_order(davis / annotations / resolution / name, (".png",))


READERS: dict[str, tuple[Callable[[Path], list[str]], Callable[[Path, str], Sequence]]] = {
    "davis": (read_names, find_sequence),
    "youtube-vos": (youtube_vos_names, find_youtube_vos_sequence),
}
"""Names of the videos of a folder, and the files of a video, by the folder's layout."""


def files_in_order(folder: Path, extensions: tuple[str, ...]) -> list[Path]:
    """The files of a folder, in the order of the numbers in their names; hidden ones do not count.

    Raises:
        InputError: There is none, or two are of one name.
    """
    if not folder.is_dir():
        raise InputError(f"the folder {folder} does not exist")
    files = sorted(
        (
            path
            for path in folder.iterdir()
            if path.suffix.lower() in extensions and not path.name.startswith(".")
        ),
        key=lambda path: by_number(path.stem),
    )
    if not files:
        raise InputError(f"{folder} holds no {' or '.join(extensions)} file")
    for one, other in pairwise(files):
        if by_number(one.stem) == by_number(other.stem):
            raise InputError(f"{one} and {other.name} are one frame; remove one of them")
    return files


def by_number(name: str) -> list[tuple[int, str]]:
    """A key that sorts ``9`` before ``10`` and ``frame_9`` before ``frame_10``."""
    parts = re.split("([0-9]+)", name)
    return [(int(part), "") if number % 2 else (0, part) for number, part in enumerate(parts)]


def read_frame(path: Path) -> np.ndarray:
    """One frame as uint8 (H, W, 3); greyscale becomes grey RGB.

    Unlike :func:`selfpatch.data.images.read_image` it is not turned upright: the masks lie on the
    pixels as they are stored.

    Raises:
        InputError: The file is missing or truncated.
    """
    return np.asarray(read_stored(path).convert("RGB"))
