"""NYU Depth v2's folder -> images with the depth of each pixel in millimetres.

Two layouts are read, both with depth maps of 16-bit PNGs:

- BTS' (Lee et al., 2019), as AdaBins, DINOv2 and DINOv3 read it: ``nyu_train.txt`` and
  ``nyu_test.txt`` list an image, its depth map and a focal length per line.
- mmsegmentation's: ``images/{train,test}`` and ``annotations/{train,test}``, paired by name.
"""

import os
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from selfpatch.data.images import read_image, read_stored, samples
from selfpatch.data.segmented import UNLABELLED, pairs_of, upright_size
from selfpatch.errors import InputError

NEAREST, FARTHEST = 1e-3, 10.0
"""Metres between which a pixel counts, as everywhere on this data set."""

CROP = (45, 471, 41, 601)
"""First and last row and column, the last ones excluded, of 480x640 that count (Eigen et al.)."""


class Pair(NamedTuple):
    """Files of an image and of its depth map."""

    image: Path
    depth: Path


class DepthImages:
    """Images with depth maps in millimetres.

    Args:
        pairs: Their files.
    """

    def __init__(self, pairs: list[Pair]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def files(self) -> list[Path]:
        """The images' files."""
        return [pair.image for pair in self.pairs]

    def names(self) -> list[str]:
        """Names of the images, without the folder that they have in common."""
        root = os.path.commonpath([file.parent for file in self.files])
        return [file.relative_to(root).as_posix() for file in self.files]

    def image(self, number: int) -> Image.Image:
        """An image as RGB."""
        return read_image(self.pairs[number].image)

    def labels(self, number: int) -> np.ndarray:
        """Millimetres at each pixel, :data:`UNLABELLED` where it does not count: int64 (H, W).

        What counts lies between :data:`NEAREST` and :data:`FARTHEST` and within :data:`CROP`, which
        other sizes have in proportion.

        Raises:
            InputError: It is no map of millimetres, or its size is not its image's.
        """
        path = self.pairs[number].depth
        content = path.read_bytes() if path.is_file() else b""
        stored = read_stored(BytesIO(content) if content else path, str(path))
        if not stored.mode.startswith("I"):
            raise InputError(
                f"{path} is an image of mode {stored.mode}, and depth maps have 16 bits, in"
                " millimetres; convert it"
            )
        height, width = upright_size(self.pairs[number].image)
        if stored.size != (width, height):
            raise InputError(
                f"{path} is {stored.width}x{stored.height}, its image is {width}x{height};"
                " fetch both from one source"
            )
        values = samples(stored, content).astype(np.int64)
        counted = np.zeros(values.shape, dtype=bool)
        counted[crop(*values.shape)] = True
        counted &= (values > 1000 * NEAREST) & (values < 1000 * FARTHEST)
        return np.where(counted, values, UNLABELLED)


def crop(height: int, width: int) -> tuple[slice, slice]:
    """The rows and columns that count."""
    top, bottom, left, right = CROP
    rows = slice(top * height // 480, bottom * height // 480)
    return rows, slice(left * width // 640, right * width // 640)


def nyu(root: Path, split: str) -> DepthImages:
    """The images of a split, ``train`` or ``test``, in either layout.

    Raises:
        InputError: The folder has neither, or a list is damaged.
    """
    listed = root / f"nyu_{split}.txt"
    if listed.is_file():
        return DepthImages(listed_pairs(root, listed))
    if (root / "images" / split).is_dir():
        found = pairs_of(root / "images" / split, root / "annotations" / split)
        return DepthImages([Pair(image, depth) for image, depth in found])
    raise InputError(
        f"{root} has neither {listed.name} nor images/{split}: NYU's labelled .mat file is not"
        " read; give the images and 16-bit PNGs that BTS or mmsegmentation make of it"
    )


def listed_pairs(root: Path, listed: Path) -> list[Pair]:
    """The pairs of a list: an image, its depth map and a number on each line, below ``root``.

    Raises:
        InputError: A line is something else, or there is none.
    """
    pairs = []
    for number, line in enumerate(listed.read_text().splitlines(), 1):
        parts = line.split()
        if len(parts) not in (2, 3) and parts:
            raise InputError(
                f"line {number} of {listed} is {line!r}, and not an image, its depth map and a"
                " focal length; fetch the list again"
            )
        if parts:
            pairs.append(Pair(*(root / part.lstrip("/") for part in parts[:2])))
    if not pairs:
        raise InputError(f"{listed} lists no image; fetch it again")
    for path in (path for pair in pairs for path in pair):
        if not path.is_file():
            raise InputError(f"{listed} lists {path}, which does not exist; fetch it")
    return pairs
