"""SPair-71k's folder -> pairs of images with keypoints that correspond.

Source: Min et al., SPair-71k: A Large-scale Benchmark for Semantic Correspondence (2019). Each pair
is a file ``PairAnnotation/SPLIT/NUMBER-SOURCE-TARGET:CATEGORY.json``; its images lie in
``JPEGImages/CATEGORY``.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from selfpatch.data.images import read_image
from selfpatch.errors import InputError

SPLITS = ("test", "val", "trn")
"""Names of the splits, as the folders have them."""


class Correspondence(NamedTuple):
    """Keypoints of an image and where they are in another one.

    Attributes:
        name: Of the pair, as its file has it.
        category: Of the object that both show.
        source: Number of the image whose keypoints are given.
        target: Number of the image where they are looked for.
        source_points: float64 (K, 2), x and y of each in pixels.
        target_points: Likewise, of the same things in the other image.
        target_side: The longer side of the object's box in the target, in pixels.
    """

    name: str
    category: str
    source: int
    target: int
    source_points: np.ndarray
    target_points: np.ndarray
    target_side: float


class SpairPairs:
    """The pairs of a split, and their images, each of which is in many of them.

    Args:
        root: SPair-71k's folder.
        split: One of :data:`SPLITS`.

    Raises:
        InputError: A file is missing, or is not what the data set's is.
    """

    def __init__(self, root: Path, split: str) -> None:
        folder = root / "PairAnnotation" / split
        found = sorted(folder.glob("*.json"))
        if not found:
            raise InputError(f"{folder} holds no pair; give SPair-71k's own folder, unpacked")
        self.files: list[Path] = []
        self.sizes: list[tuple[int, int]] = []  # height and width
        self._numbers: dict[Path, int] = {}
        self._images = root / "JPEGImages"
        self.pairs = [self._pair(file) for file in found]

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def categories(self) -> list[str]:
        """Names of the categories that have a pair."""
        return sorted({pair.category for pair in self.pairs})

    def image(self, number: int) -> Image.Image:
        """An image as RGB.

        Raises:
            InputError: It cannot be read, or its size is not what the pairs say.
        """
        image = read_image(self.files[number])
        height, width = self.sizes[number]
        if image.size != (width, height):
            raise InputError(
                f"{self.files[number]} is {image.width}x{image.height}, its pairs say"
                f" {width}x{height}; unpack the images again"
            )
        return image

    def _pair(self, file: Path) -> Correspondence:
        try:
            content: dict[str, Any] = json.loads(file.read_bytes())
            category = str(content["category"])
            source, target = (
                self._number(category, content[f"{side}_imname"], content[f"{side}_imsize"])
                for side in ("src", "trg")
            )
            left, top, right, bottom = map(float, content["trg_bndbox"])
            here, there = (
                np.array(content[f"{side}_kps"], dtype=np.float64).reshape(-1, 2)
                for side in ("src", "trg")
            )
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise InputError(
                f"{file} is no pair of SPair-71k ({error!r}); unpack it again"
            ) from None
        side = max(right - left, bottom - top)
        if not side > 0 or not 0 < len(here) == len(there):
            raise InputError(
                f"{file} has {len(here)} keypoints in one image, {len(there)} in the other"
                f" and a box of {side:g} pixels; unpack it again"
            )
        return Correspondence(file.stem, category, source, target, here, there, side)

    def _number(self, category: str, name: str, size: list[int]) -> int:
        """The number of an image, a new one where it was in no pair so far."""
        path = self._images / category / name
        width, height = map(int, size[:2])
        if path not in self._numbers:
            self._numbers[path] = len(self.files)
            self.files.append(path)
            self.sizes.append((height, width))
        number = self._numbers[path]
        if self.sizes[number] != (height, width):
            raise ValueError(f"{name} is {width}x{height} here, and another size elsewhere")
        return number
