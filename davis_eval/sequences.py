"""A data set's folder -> its videos: which frames and masks there are, in which order."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from selfpatch.errors import InputError

FRAMES = (".jpg", ".jpeg", ".png")
MASKS = (".png",)
SPLITS = ("val", "test-dev", "test-challenge")
"""DAVIS's lists of videos, of which the first that is there is read."""


@dataclass(frozen=True)
class Masks:
    """Mask files of a video in which no two objects overlap: those of all objects, or of one.

    Attributes:
        object_name: Folder of one object's masks, in which all that is not 0 is this object; empty
            where a file shows all objects, by their labels.
        files: Annotations in order.
        starts: Annotations that propagation is given; in DAVIS the first frame's.
    """

    object_name: str
    files: tuple[Path, ...]
    starts: tuple[Path, ...]


@dataclass(frozen=True)
class Sequence:
    """One video.

    Attributes:
        name: Its name.
        frames: Images in order.
        masks: Its masks, which overlap each other only if there are several.
    """

    name: str
    frames: tuple[Path, ...]
    masks: tuple[Masks, ...]

    @property
    def starts(self) -> list[Path]:
        """All annotations that propagation is given."""
        return [path for masks in self.masks for path in masks.starts]

    def results(self, out: Path) -> Iterator[Path]:
        """The files of all masks that propagation writes below ``out``."""
        for masks in self.masks:
            for frame in self.frames:
                yield result_of(out / self.name / masks.object_name, frame)

    def given(self, masks: Masks) -> list[tuple[int, Path]]:
        """Number of the frame, and path, of each of these masks that propagation is given."""
        numbers = {frame.stem: number for number, frame in enumerate(self.frames)}
        return [(numbers[path.stem], path) for path in masks.starts]


def result_of(folder: Path, path: Path) -> Path:
    """The resulting mask, in a folder of them, of a frame or of a true mask."""
    return folder / f"{path.stem}.png"


@dataclass(frozen=True)
class Layout:
    """How a data set is laid out.

    Attributes:
        frames: The folder that holds a folder of frames per video.
        masks: The folder that holds a folder of masks per video.
        first_only: Whether only the first frame's masks are given; else every mask is, which adds
            the objects that are new in it, and the video begins with the first one.
        names: Names of the videos of a data set's folder; of its frames' folders, if left out.
    """

    frames: str
    masks: str
    first_only: bool
    names: Callable[[Path], list[str]] | None = None


def video_names(folder: Path, layout: Layout) -> list[str]:
    """Names of the videos of a data set.

    Raises:
        InputError: There is none, or their list is not as it should be.
    """
    return layout.names(folder) if layout.names else folder_names(folder / layout.frames)


def folder_names(folder: Path) -> list[str]:
    """The videos of a folder with a folder for each; raises InputError if there is none."""
    names = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    if not names:
        raise InputError(f"{folder} holds no video; give a data set with a folder for each in it")
    return names


def read_names(davis: Path, year: str = "2017") -> list[str]:
    """The names listed in ``ImageSets/<year>/val.txt``, or in the list of a test set.

    Raises:
        InputError: The list is missing or empty.
    """
    paths = [davis / "ImageSets" / year / f"{split}.txt" for split in SPLITS]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise InputError(f"{paths[0]} does not exist; {davis} is not in DAVIS's layout")
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


LAYOUTS = {
    "davis": Layout("JPEGImages/480p", "Annotations/480p", first_only=True, names=read_names),
    "mose": Layout("JPEGImages", "Annotations", first_only=True),
    "youtube-vos": Layout("JPEGImages", "Annotations", first_only=False),
    "sa-v": Layout("JPEGImages_24fps", "Annotations_6fps", first_only=False),
}
"""Layouts by name. MOSE's masks lie as YouTube-VOS's do, but all after the first are truth."""


def find_sequence(folder: Path, name: str, layout: Layout = LAYOUTS["davis"]) -> Sequence:
    """Frames and masks of one video.

    Raises:
        InputError: A folder, the first mask or a frame is missing.
    """
    frames = files_in_order(folder / layout.frames / name, FRAMES)
    masks = find_masks(folder / layout.masks / name)
    for files in masks.values():
        check_frames_of(files, frames)
    if layout.first_only:
        check_first_masks(masks, frames)
        check_gaps(frames, name)
    else:
        stems = [frame.stem for frame in frames]
        frames = frames[min(stems.index(files[0].stem) for files in masks.values()) :]
    return Sequence(
        name,
        tuple(frames),
        tuple(
            Masks(object_name, tuple(files), tuple(files[:1] if layout.first_only else files))
            for object_name, files in masks.items()
        ),
    )


def find_masks(folder: Path) -> dict[str, list[Path]]:
    """A video's annotations in order, by the object's folder, or by an empty name without such.

    Raises:
        InputError: There is none.
    """
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    objects = [path.name for path in entries if path.is_dir() and path.name[0] != "."]
    if not objects or any(path.suffix.lower() in MASKS for path in entries):
        objects = [""]
    return {name: files_in_order(folder / name, MASKS) for name in objects}


def check_first_masks(masks: dict[str, list[Path]], frames: list[Path]) -> None:
    """Raise InputError where the first frame has no mask."""
    for files in masks.values():
        if files[0].stem != frames[0].stem:
            first = files[0].with_name(f"{frames[0].stem}.png")
            raise InputError(
                f"{first} does not exist; the first frame's mask starts the propagation"
            )


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
