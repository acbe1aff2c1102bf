"""Image -> crops, and what is drawn for each of them: DINO's multi-crop augmentation.

Decoding, cropping and resizing are done here, image by image and in 8 bits, by the loader's
workers. Colours, blur and solarisation follow for a whole batch at once, see
:mod:`selfpatch.data.photometric`.
"""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import pil_to_tensor

from selfpatch.data.draws import RATIO, Boxes, Draws, Recipe, View, single_views
from selfpatch.data.photometric import photometric
from selfpatch.data.shards import open_images
from selfpatch.errors import InputError


def runs_of_equal_size(views: Sequence[View]) -> list[range]:
    """The numbers of the views in each run of equally sized ones."""
    numbers = range(len(views))
    runs = [list(run) for _, run in groupby(numbers, key=lambda number: views[number].size)]
    return [range(run[0], run[-1] + 1) for run in runs]


def crop(pixels: Tensor, boxes: Boxes, number: int, view: View) -> Tensor:
    """One crop of an image uint8 (3, H, W), resized in 8 bits: uint8 (3, size, size).

    Pillow's differ from torch's by their roundings, one level at most.
    """
    top, left, height, width, flip = (of[number] for of in boxes)
    cut = pixels[None, :, top : top + height, left : left + width]
    size = (view.size, view.size)
    resized = F.interpolate(cut, size, mode=view.interpolation, antialias=True)[0]
    return resized.flip(-1) if flip else resized


class MultiViewDataset(Dataset[dict[str, Any]]):
    """Images -> crops for V views each, and what is drawn for them.

    An item is asked for as ``(epoch, index)``. What is drawn for it depends on that and on the
    seed alone, not on the worker, the number of processes or what was drawn before: this is what
    makes a resumed run equal an uninterrupted one.

    An image that cannot be read gives way to the next one. A large JPEG is decoded at a fraction of
    its size as long as the smallest crop is still not smaller than its view.

    Args:
        folder: Images, with or without class subfolders, or tar shards, see
            :func:`selfpatch.data.shards.open_images`.
        views: The views to make, global ones first.
        seed: Seed of all random draws.
        max_images: No more than so many, the first ones; for trials.
        photometric_in_workers: Whether colours and blur, which are otherwise left to the device,
            are done here: where processor cores are plenty and the device is not.
    """

    def __init__(
        self,
        folder: str,
        views: Sequence[dict | View],
        seed: int = 0,
        max_images: int | None = None,
        photometric_in_workers: bool = False,
    ) -> None:
        self.images = open_images(folder)
        self.num_images = min(len(self.images), max_images or len(self.images))
        self.seed = seed
        self.views = single_views(views)
        self.runs = runs_of_equal_size(self.views)
        self.recipe = Recipe(self.views)
        self.least_pixels = max(
            math.ceil(view.size**2 / (RATIO[0] * view.scale[0])) for view in self.views
        )
        self.largest = max(view.size for view in self.views)
        self.photometric_in_workers = photometric_in_workers

    def __len__(self) -> int:
        return self.num_images

    def __getitem__(self, item: tuple[int, int]) -> dict[str, Any]:
        """``(epoch, index)`` -> the crops, one tensor for each run of v views of equal size.

        Returns:
            ``crops``, uint8 (v, 3, size, size) each; ``draws``, what becomes of them, unless it was
            done here; the image's ``path``; ``unreadable``, a line for each image passed over.
        """
        epoch, index = item
        image, index, unreadable = self.readable(index)
        boxes, drawn = self.recipe.draw((self.seed, epoch, index), image.height, image.width)
        pixels = pil_to_tensor(image)
        crops, draws = [], []
        for run in self.runs:
            cut = [crop(pixels, boxes, number, self.views[number]) for number in run]
            crops.append(torch.stack(cut))
            draws.append(Draws(*(values[run.start : run.stop] for values in drawn)))
        made: dict[str, Any] = {"crops": crops, "draws": draws}
        if self.photometric_in_workers:
            views = [photometric(*run) for run in zip(crops, draws, strict=True)]
            made = {"crops": [run.short().byte() for run in views]}  # faster than in one conversion
        path = self.images.name(index)
        return {**made, "path": path, "unreadable": "\n".join(unreadable)}

    def spare(self, width: int, height: int) -> int:
        """How many times as long as need be the sides of an image are: no crop is enlarged more.

        The shortest side of a crop is that of the least area at 3:4, or a short side of the image.
        """
        by_area = math.isqrt(width * height // self.least_pixels)
        return min(by_area, min(width, height) // self.largest)

    def readable(self, index: int) -> tuple[Image.Image, int, list[str]]:
        """The first readable image from ``index`` on, its number, and what is wrong with others.

        Raises:
            InputError: A hundred images in a row cannot be read.
        """
        unreadable: list[str] = []
        for number in range(index, index + min(len(self), 100)):
            try:
                image = self.images.read(number % len(self), self.spare)
                return image, number % len(self), unreadable
            except InputError as error:
                unreadable.append(str(error))
        raise InputError(f"{len(unreadable)} images in a row cannot be read; {unreadable[0]}")
