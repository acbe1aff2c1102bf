"""Folder of images and label maps -> images, each with the class of every pixel."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from selfpatch.data.images import list_images, read_image, read_stored, samples, size_of
from selfpatch.errors import InputError

UNLABELLED = -1
"""The label of a pixel that does not count."""

UNKNOWN = -2
"""The label of a value that a map must not hold."""

VOID = 255
"""The value of a map for what does not count."""

SAMPLES = 48
"""Label maps that are looked at of a set whose maps are all read soon after."""

ADE20K_CLASSES = 150


class SegmentedImages(ABC):
    """Images, each with the class of every pixel: what probes read, whatever it is stored as.

    Args:
        files: Of the images.
        class_names: The names of the classes, in their order.
    """

    def __init__(self, files: list[Path], class_names: Sequence[str]) -> None:
        self.files, self.class_names = files, tuple(class_names)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_names)

    def names(self) -> list[str]:
        """Names of the images, without the folder that they have in common."""
        root = os.path.commonpath([file.parent for file in self.files])
        return [file.relative_to(root).as_posix() for file in self.files]

    def image(self, index: int) -> Image.Image:
        """An image as RGB."""
        return read_image(self.files[index])

    @abstractmethod
    def check_size(self, index: int) -> None:
        """See that labels are as large as their image, from headers alone.

        Raises:
            InputError: They are not.
        """

    @abstractmethod
    def labels(self, index: int) -> np.ndarray:
        """The class of each pixel of an image, or :data:`UNLABELLED`: int64 (H, W).

        Raises:
            InputError: What is stored does not fit the image or the classes.
        """


class Part(SegmentedImages):
    """Some of the images of a data set.

    Args:
        whole: The data set.
        numbers: Which of its images.
    """

    def __init__(self, whole: SegmentedImages, numbers: Sequence[int]) -> None:
        super().__init__([whole.files[number] for number in numbers], whole.class_names)
        self.whole, self.numbers = whole, list(numbers)

    def names(self) -> list[str]:
        """Names of the images, as in the whole."""
        names = self.whole.names()
        return [names[number] for number in self.numbers]

    def check_size(self, index: int) -> None:
        """See that labels are as large as their image."""
        self.whole.check_size(self.numbers[index])

    def labels(self, index: int) -> np.ndarray:
        """The class of each pixel of an image, or :data:`UNLABELLED`: int64 (H, W)."""
        return self.whole.labels(self.numbers[index])


def checked(scenes: SegmentedImages, every: bool) -> SegmentedImages:
    """The same images, after a look at the sizes of all and at the labels of some.

    Args:
        scenes: The images.
        every: Look at all labels, not only at a sample.

    Raises:
        InputError: The first that is wrong.
    """
    numbers = range(len(scenes))
    sample = np.linspace(0, len(scenes) - 1, min(len(scenes), SAMPLES)).astype(int).tolist()

    def look(number: int) -> None:
        scenes.labels(number)

    with ThreadPoolExecutor() as pool:  # reading and decoding run side by side
        for each in (
            pool.map(scenes.check_size, numbers),
            pool.map(look, numbers if every else sample),
        ):
            for _ in each:  # the first error ends it, and what has not begun
                pass
    return scenes


class LabelMaps(SegmentedImages):
    """Images with maps whose values say which class a pixel has.

    Args:
        pairs: Files of the images, each with that of its map.
        class_names: The names of the classes, in their order.
        values: Value in a map -> class, or :data:`UNLABELLED`.
        remedy: What to do about a value that is none of these.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[Path, Path]],
        class_names: Sequence[str],
        values: Mapping[int, int],
        remedy: str,
    ) -> None:
        super().__init__([image for image, _ in pairs], class_names)
        self.maps = [labels for _, labels in pairs]
        self.table = np.full(max(256, max(values) + 2), UNKNOWN)
        self.table[list(values)] = list(values.values())
        self.remedy = remedy

    def check_size(self, index: int) -> None:
        """See that a map is as large as its image."""
        path = self.maps[index]
        (height, width), (own, other) = size_of(path), upright_size(self.files[index])
        if (height, width) != (own, other):
            raise InputError(
                f"{path} is {width}x{height}, its image is {other}x{own};"
                " fetch both from one source"
            )

    def labels(self, index: int) -> np.ndarray:
        """The class of each pixel, or :data:`UNLABELLED`: int64 (H, W).

        Raises:
            InputError: It is no map of indices, its size is not its image's, or a value in it
                stands for no class.
        """
        path = self.maps[index]
        content = path.read_bytes()
        stored = read_stored(BytesIO(content), str(path))
        if stored.mode not in ("L", "P", "1", "I", "I;16") or stored.format == "JPEG":
            kind = "a JPEG" if stored.format == "JPEG" else stored.mode
            raise InputError(f"{path} is {kind} and no map of class numbers; save it as one")
        values = samples(stored, content)
        self.check_size(index)
        if values.dtype != np.uint8:  # the table's last entry, which is also that of -1, is UNKNOWN
            values = values.astype(np.int64).clip(-1, len(self.table) - 1)
        labels = self.table[values]
        if labels.min(initial=0) == UNKNOWN:
            found = samples(stored, content)[labels == UNKNOWN].max()
            raise InputError(
                f"{path} holds the value {found}, which is none of the {self.num_classes} classes;"
                f" {self.remedy}"
            )
        return labels


def upright_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image as it is shown; its pixels are not decoded."""
    height, width = size_of(path)
    with Image.open(path) as image:
        # A PNG's own method would decode it, for a tag that may come behind its pixels.
        turned = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1) >= 5
    return (width, height) if turned else (height, width)


def pairs_of(images: Path, maps: Path) -> list[tuple[Path, Path]]:
    """Images and maps of the same name in two folders, subfolders included.

    Raises:
        InputError: One has no partner, there is none, or a name is not unique.
    """
    found, labels = by_name(images), by_name(maps)
    alone = sorted(found.keys() ^ labels.keys())
    if alone:
        lacking = maps if alone[0] in found else images
        raise InputError(
            f"{lacking} has no file for {alone[0]}{others(alone[1:])}; images and maps pair by name"
        )
    return [(found[name], labels[name]) for name in sorted(found)]


def by_name(folder: Path) -> dict[str, Path]:
    """Path below a folder, without its ending -> that file."""
    if not folder.is_dir():
        raise InputError(f"the folder {folder} does not exist; docs/probes/data.md has the layout")
    files: dict[str, Path] = {}
    for path in map(Path, map(os.fsdecode, list_images(folder))):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise InputError(f"{files[name]} and {path} have one name; leave one of them")
        files[name] = path
    return files


def others(names: Iterable[str]) -> str:
    """How many more there are, for a sentence."""
    count = len(list(names))
    return f" and {count} more" * (count > 0)


def ade20k(root: Path, split: str) -> SegmentedImages:
    """The scene parsing challenge: 150 classes from value 1 on, 0 for all else."""
    pairs = pairs_of(root / "images" / split, root / "annotations" / split)
    values = {0: UNLABELLED, **numbered(ADE20K_CLASSES, first=1), VOID: UNLABELLED}
    names = [str(number) for number in range(1, ADE20K_CLASSES + 1)]
    return LabelMaps(pairs, names, values, "fetch ADEChallengeData2016")


def folder(root: Path, split: str, num_classes: int) -> SegmentedImages:
    """Any images and maps: ``images/SPLIT`` and ``labels/SPLIT``, 255 for what does not count.

    Raises:
        InputError: 255 would be a class.
    """
    if num_classes > VOID:
        raise InputError(f"--classes {num_classes}: maps have {VOID} for what does not count")
    pairs = pairs_of(root / "images" / split, root / "labels" / split)
    values = {**numbered(num_classes), VOID: UNLABELLED}
    names = [str(number) for number in range(num_classes)]
    return LabelMaps(pairs, names, values, "give the right --classes")


def numbered(count: int, first: int = 0) -> dict[int, int]:
    """Values in a map from ``first`` on -> classes from 0 on."""
    return {first + number: number for number in range(count)}
