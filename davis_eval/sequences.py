"""DAVIS folder -> sequences: which frames and masks there are, and how each is read and written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from selfpatch.atomic import atomic_write
from selfpatch.data.images import read_stored
from selfpatch.errors import InputError
from selfpatch.visualize.palette import standard_palette

VOID = 255
"""Label of pixels that belong neither to an object nor to the background."""

PALETTE = standard_palette()


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
    names = path.read_text().split()
    if not names:
        raise InputError(f"{path} lists no sequence")
    return names


def find_sequence(davis: Path, name: str, resolution: str = "480p") -> Sequence:
    """Frames and masks of one sequence.

    Raises:
        InputError: A folder, the first mask or a frame is missing.
    """
    frames = _numbered(davis / "JPEGImages" / resolution / name, (".jpg", ".jpeg", ".png"))
    masks = find_masks(davis, name, resolution)
    first = masks[0].with_name(f"{frames[0].stem}.png")
    if masks[0] != first:
        raise InputError(f"{first} does not exist; the first frame's mask starts the propagation")
    numbers = [frame.stem for frame in frames]
    if all(number.isdigit() for number in numbers):
        missing = set(range(int(numbers[0]), int(numbers[-1]))) - {int(n) for n in numbers}
        if missing:
            gap = frames[0].with_name(f"{min(missing):0{len(numbers[0])}d}{frames[0].suffix}")
            raise InputError(f"{gap} does not exist; {name} has frames before and after it")
    return Sequence(name, tuple(frames), tuple(masks), (first,))


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
    frames = _numbered(folder / "JPEGImages" / name, (".jpg", ".jpeg", ".png"))
    masks = _numbered(folder / "Annotations" / name, (".png",))
    stems = {frame.stem for frame in frames}
    for mask in masks:
        if mask.stem not in stems:
            raise InputError(f"{mask} has no frame in {frames[0].parent}")
    used = [frame for frame in frames if frame.stem >= masks[0].stem]
    return Sequence(name, tuple(used), tuple(masks), tuple(masks))


def find_masks(
    davis: Path, name: str, resolution: str = "480p", annotations: str = "Annotations"
) -> list[Path]:
    """The annotations of one sequence, in order."""
    return _numbered(davis / annotations / resolution / name, (".png",))


LAYOUTS: dict[str, tuple[Callable[[Path], list[str]], Callable[[Path, str], Sequence]]] = {
    "davis": (read_names, find_sequence),
    "youtube-vos": (youtube_vos_names, find_youtube_vos_sequence),
}
"""Names of the videos of a folder, and the files of a video, by the folder's layout."""


def _numbered(folder: Path, extensions: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"the folder {folder} does not exist")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in extensions)
    if not files:
        raise InputError(f"{folder} holds no {' or '.join(extensions)} file")
    return files


def read_frame(path: Path) -> np.ndarray:
    """One frame as uint8 (H, W, 3); greyscale becomes grey RGB.

    Unlike :func:`selfpatch.data.images.read_image` it is not turned upright: the masks lie on the
    pixels as they are stored.

    Raises:
        InputError: The file is missing or truncated.
    """
    return np.asarray(read_stored(path).convert("RGB"))


def read_mask(path: Path) -> np.ndarray:
    """One mask as uint8 object labels (H, W): 0 background, 1 ... objects, 255 void.

    Indexed and greyscale PNGs hold labels. A greyscale one of 0 and 255 only is one object, and so
    is a 1-bit one. RGB is taken where all its colours are the standard palette's.

    Raises:
        InputError: The file is missing, truncated, or its colours are no labels.
    """
    image = read_stored(path)
    if image.mode == "P":
        return np.asarray(image)
    if image.mode in ("L", "1"):
        labels = np.asarray(image.convert("L"))
        return (labels == VOID).astype(np.uint8) if set(np.unique(labels)) <= {0, VOID} else labels
    colors = np.asarray(image.convert("RGB")).astype(np.int32) @ (65536, 256, 1)
    known = np.array(PALETTE).reshape(-1, 3) @ (65536, 256, 1)
    order = known.argsort()
    place = known[order].searchsorted(colors).clip(max=255)
    labels = order[place].astype(np.uint8)
    if not (known[labels] == colors).all():
        raise InputError(
            f"{path} is {image.mode} with colours outside DAVIS's palette; save it as indexed PNG"
        )
    return labels


def write_mask(path: Path, labels: np.ndarray) -> None:
    """Write labels uint8 (H, W) as an indexed PNG with the standard palette, atomically."""
    image = Image.fromarray(labels)
    image.putpalette(PALETTE)
    with atomic_write(path) as file:
        image.save(file, format="PNG")
