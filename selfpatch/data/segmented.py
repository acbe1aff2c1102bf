"""Folder of images and label maps -> images, each with the class of every pixel."""

import os
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from selfpatch.data.images import list_images, read_image, read_stored, samples
from selfpatch.errors import InputError

UNLABELLED = -1
"""The label of a pixel that does not count."""

VOID = 255
"""The value of a map for what does not count."""

ADE20K_CLASSES = 150


class Pair(NamedTuple):
    """Files of an image and of its label map."""

    image: Path
    labels: Path


class SegmentedImages:
    """Images with label maps.

    Args:
        pairs: Their files.
        num_classes: C.
        first: The value in a map that stands for class 0; neither what is below it nor
            :data:`VOID` counts.
    """

    def __init__(self, pairs: list[Pair], num_classes: int, first: int = 0) -> None:
        self.pairs, self.num_classes, self.first = pairs, num_classes, first

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def files(self) -> list[Path]:
        """The images' files."""
        return [pair.image for pair in self.pairs]

    def names(self) -> list[str]:
        """Names of the images, without the folder that they have in common."""
        root = os.path.commonpath([pair.image.parent for pair in self.pairs])
        return [pair.image.relative_to(root).as_posix() for pair in self.pairs]

    def image(self, index: int) -> Image.Image:
        """An image as RGB."""
        return read_image(self.pairs[index].image)

    def labels(self, index: int) -> np.ndarray:
        """The class of each pixel, or :data:`UNLABELLED`: int64 (H, W).

        Raises:
            InputError: It is no map of indices, its size is not its image's, or a class is beyond
                the count.
        """
        path = self.pairs[index].labels
        content = path.read_bytes()
        stored = read_stored(BytesIO(content), str(path))
        if stored.mode not in ("L", "P", "1", "I", "I;16") or stored.format == "JPEG":
            kind = "a JPEG" if stored.format == "JPEG" else stored.mode
            raise InputError(f"{path} is {kind} and no map of class numbers; save it as one")
        values = samples(stored, content).astype(np.int64)
        if (size := upright_size(self.pairs[index].image)) != stored.size:
            raise InputError(
                f"{path} is {stored.width}x{stored.height}, its image is {size[0]}x{size[1]};"
                " fetch both from one source"
            )
        labels = np.where(values == VOID, UNLABELLED, values - self.first)
        labels = np.maximum(labels, UNLABELLED)
        if labels.max(initial=UNLABELLED) >= self.num_classes:
            raise InputError(
                f"{path} holds the value {labels.max() + self.first}, beyond the"
                f" {self.num_classes} classes; give the right --classes"
            )
        return labels


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height of an image as it is shown; its pixels are not decoded."""
    with Image.open(path) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        return image.size[::-1] if turned else image.size


def pairs_of(images: Path, maps: Path) -> list[Pair]:
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
    return [Pair(found[name], labels[name]) for name in sorted(found)]


def by_name(folder: Path) -> dict[str, Path]:
    """Path below a folder, without its ending -> that file."""
    if not folder.is_dir():
        raise InputError(f"the folder {folder} does not exist; see --help for the layout")
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
    return SegmentedImages(pairs, ADE20K_CLASSES, first=1)


def folder(root: Path, split: str, num_classes: int) -> SegmentedImages:
    """Any images and maps: ``images/SPLIT`` and ``labels/SPLIT``, 255 for what does not count.

    Raises:
        InputError: 255 would be a class.
    """
    if num_classes > VOID:
        raise InputError(f"--classes {num_classes}: maps have {VOID} for what does not count")
    return SegmentedImages(pairs_of(root / "images" / split, root / "labels" / split), num_classes)
