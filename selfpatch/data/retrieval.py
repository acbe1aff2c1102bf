"""Folder of revisited Oxford or Paris -> database and queries, and what each query ought to find.

Source: Radenovic et al., Revisiting Oxford and Paris (CVPR 2018); filipradenovic/revisitop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import pil_to_tensor

from selfpatch.data.images import read_image
from selfpatch.errors import InputError

KINDS = ("easy", "hard", "junk")
"""How a database image relates to a query: clearly or hardly visible there, or hardly at all."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom of a part of an image, in pixels."""


@dataclass(frozen=True)
class Landmarks:
    """Images of buildings, and queries for them.

    Attributes:
        images: Files of the database, M of them.
        queries: Files of the queries, none of which is in the database.
        boxes: The part of each query's image that is looked for.
        related: Of each query, int64 numbers of the database's images, by :data:`KINDS`.
    """

    images: list[Path]
    queries: list[Path]
    boxes: list[Box]
    related: list[dict[str, np.ndarray]]

    def names(self) -> list[str]:
        """Names of all images."""
        return [path.stem for path in (*self.images, *self.queries)]


def truth_file(folder: Path) -> Path:
    """The ground truth in a folder, ``gnd_NAME.pkl``.

    Raises:
        InputError: There is none, or more than one.
    """
    found = sorted(folder.glob("gnd_*.pkl"))
    if len(found) != 1:
        number = "several files" if found else "no file"
        raise InputError(
            f"{folder} has {number} gnd_NAME.pkl; give the folder of revisited Oxford or Paris with"
            " its gnd_roxford5k.pkl or gnd_rparis6k.pkl and its jpg"
        )
    return found[0]


def landmarks(truth: Mapping[str, Any], file: Path) -> Landmarks:
    """Check what a file of ground truth holds, and find the images in ``jpg`` beside it.

    Args:
        truth: ``imlist`` and ``qimlist``, names without ending, and ``gnd``: for each query its
            ``bbx`` and the numbers of the images of each kind.
        file: Where it was read.

    Raises:
        InputError: Something is missing, or does not fit together.
    """
    try:
        files = {
            name: [file.parent / "jpg" / f"{own}.jpg" for own in truth[name]]
            for name in ("imlist", "qimlist")
        }
        boxes = [box_of(query["bbx"]) for query in truth["gnd"]]
        related = [{kind: numbers_of(query[kind]) for kind in KINDS} for query in truth["gnd"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file} is no ground truth of revisited Oxford or Paris ({error}); fetch it again"
        ) from None
    images, queries = files["imlist"], files["qimlist"]
    numbers = np.concatenate([np.zeros(0, int), *(n for own in related for n in own.values())])
    if not queries or len(queries) != len(related):
        raise InputError(f"{file} has {len(queries)} queries and truth of {len(related)}")
    if numbers.min(initial=0) < 0 or numbers.max(initial=0) >= len(images):
        raise InputError(f"{file} names images beyond the {len(images)} that it lists")
    absent = [path for path in (*images, *queries) if not path.is_file()]
    if absent:
        raise InputError(f"{absent[0]} is missing, as are {len(absent) - 1} more; fetch the images")
    return Landmarks(images, queries, boxes, related)


def box_of(values: Sequence[float]) -> Box:
    """Left, top, right and bottom, in rising order.

    Raises:
        ValueError: They are not.
    """
    left, top, right, bottom = map(float, np.asarray(values, dtype=np.float64).ravel())
    if not (left < right and top < bottom):
        raise ValueError(f"a box {left, top, right, bottom}")
    return left, top, right, bottom


def numbers_of(values: Sequence[int]) -> np.ndarray:
    """Whole numbers: int64 (n,)."""
    numbers = np.asarray(values).ravel()
    if len(numbers) and numbers.dtype.kind not in "iu":
        raise ValueError(f"numbers of images of type {numbers.dtype}")
    return numbers.astype(np.int64)


class Shrunk(Dataset[tuple[Tensor, int]]):
    """Images whose long side is shrunk, never enlarged, with their numbers.

    Source: DINO's eval_image_retrieval.

    Args:
        files: The images.
        size: The most pixels of a side.
        boxes: The part of each image that is cut out first; the whole, if left out.
        least: The fewest pixels of a side that can be used.
    """

    def __init__(
        self, files: list[Path], size: int, boxes: list[Box] | None = None, least: int = 1
    ) -> None:
        self.files, self.size, self.boxes, self.least = files, size, boxes, least

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """uint8 (3, h, w), neither side above the size, and the number of the image.

        Raises:
            InputError: It cannot be read, or is too narrow.
        """
        image = read_image(self.files[index])
        if self.boxes is not None:
            image = image.crop(self.boxes[index])  # it rounds
        image.thumbnail((self.size, self.size), Image.Resampling.LANCZOS)
        if min(image.size) < self.least:
            raise InputError(
                f"{self.files[index]} is shrunk to {image.width}x{image.height} pixels, and a side"
                f" needs {self.least}; give a larger --size"
            )
        return pil_to_tensor(image), index
