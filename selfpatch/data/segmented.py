"""Folder of images and label maps -> images, each with the class of every pixel."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from selfpatch.data.images import list_images, read_image, read_stored
from selfpatch.errors import InputError

UNLABELLED = -1
"""The label of a pixel that does not count."""

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
        first: The value in a map that stands for class 0; what is below it does not count.
        void: The value that does not count.
    """

    def __init__(
        self, pairs: list[Pair], num_classes: int, first: int = 0, void: int = 255
    ) -> None:
        self.pairs, self.num_classes, self.first, self.void = pairs, num_classes, first, void

    def __len__(self) -> int:
        return len(self.pairs)

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
        stored = read_stored(path)
        if stored.mode not in ("L", "P", "1", "I", "I;16"):
            raise InputError(f"{path} is {stored.mode} and no map of class numbers; save it as one")
        values = np.asarray(stored).astype(np.int64)
        if (size := upright_size(self.pairs[index].image)) != stored.size:
            raise InputError(
                f"{path} is {stored.width}x{stored.height}, its image is {size[0]}x{size[1]};"
                " fetch both from one source"
            )
        labels = np.where(values == self.void, UNLABELLED, values - self.first)
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
    """Images and maps of the same name in two folders.

    Raises:
        InputError: One has no partner, or there is none.
    """
    found = {Path(path.decode()).stem: Path(path.decode()) for path in list_images(images)}
    labels = {Path(path.decode()).stem: Path(path.decode()) for path in list_images(maps)}
    alone = sorted(found.keys() ^ labels.keys())
    if alone:
        lacking = maps if alone[0] in found else images
        raise InputError(
            f"{lacking} has no file for {alone[0]}{others(alone[1:])}; images and maps pair by name"
        )
    return [Pair(found[stem], labels[stem]) for stem in sorted(found)]


def others(names: Iterable[str]) -> str:
    """How many more there are, for a sentence."""
    count = len(list(names))
    return f" and {count} more" * (count > 0)


def ade20k(root: Path, split: str) -> SegmentedImages:
    """The scene parsing challenge: 150 classes from value 1 on, 0 for all else."""
    pairs = pairs_of(root / "images" / split, root / "annotations" / split)
    return SegmentedImages(pairs, ADE20K_CLASSES, first=1)


def folder(root: Path, split: str, num_classes: int) -> SegmentedImages:
    """Any images and maps: ``images/SPLIT`` and ``labels/SPLIT``, 255 for what does not count."""
    return SegmentedImages(pairs_of(root / "images" / split, root / "labels" / split), num_classes)
