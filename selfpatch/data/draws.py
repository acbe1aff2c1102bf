"""Seeds -> what is drawn for each view of an image: its crop, its flip, its colours, its blur.

The distributions are those of torchvision's transforms with DINO's numbers
(facebookresearch/dino: ``DataAugmentationDINO``, ``GaussianBlur``); all views are drawn at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from selfpatch.errors import InputError

DRAWS = 2
"""Counts the ways in which seeds have decided views: to be raised when a seed gives others.

It is none of the settings: of models with equal ones, a table takes the mean, whatever was drawn.
"""

RATIO = (3 / 4, 4 / 3)
"""Least and greatest width of a crop over its height."""

TRIALS = 10
"""Crops that are drawn for a view until one lies within the image."""

FLIP, COLORS, GRAY = 0.5, 0.8, 0.2
"""Probabilities of a mirrored crop, of the colour jitter, and of its colours being taken away."""

RADIUS = (0.1, 2.0)
"""Least and greatest radius of a blur, in pixels."""

LEAST_SIZE = 12
"""Pixels to each side of a view: a blur reaches six to either side."""

INTERPOLATIONS = ("bicubic", "bilinear")


@dataclass(frozen=True)
class View:
    """How to make ``count`` views of an image.

    Attributes:
        size: Side of the square view, in pixels.
        scale: Least and greatest share of the image's area that the crop covers.
        count: Number of such views.
        blur: Probability of a Gaussian blur.
        solarize: Probability of a solarisation.
        color_jitter: Strength of brightness, contrast, saturation and hue.
        interpolation: How the crop is resized, ``bicubic`` as in DINO, or ``bilinear``.

    Raises:
        InputError: A value is out of its range.
    """

    size: int
    scale: tuple[float, float]
    count: int = 1
    blur: float = 0.5
    solarize: float = 0.0
    color_jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        smallest, largest = self.scale
        for name, in_range, words in (
            ("size", self.size >= LEAST_SIZE, f"{LEAST_SIZE} pixels or more"),
            ("count", self.count >= 1, "1 or more"),
            ("scale", 0 < smallest <= largest <= 1, "two shares of an image's area that rise"),
            ("blur", 0 <= self.blur <= 1, "a probability"),
            ("solarize", 0 <= self.solarize <= 1, "a probability"),
            ("color_jitter", min(self.color_jitter) >= 0, "four strengths, 0 or above"),
            ("interpolation", self.interpolation in INTERPOLATIONS, "bicubic or bilinear"),
        ):
            if not in_range:
                raise InputError(f"a view's {name}={getattr(self, name)!r} must be {words}")


def single_views(views: Sequence[dict | View]) -> list[View]:
    """One entry for each view that is made of an image, in order."""
    specs = [view if isinstance(view, View) else View(**view) for view in views]
    return [view for view in specs for _ in range(view.count)]


class Boxes(NamedTuple):
    """Where V crops lie in an image, in pixels, int64 (V,); ``flip``, bool (V,), mirrors them."""

    top: np.ndarray
    left: np.ndarray
    height: np.ndarray
    width: np.ndarray
    flip: np.ndarray


class Draws(NamedTuple):
    """What becomes of the pixels of N crops.

    Attributes:
        order: int64 (N, 4), the operation of each turn of the colour jitter, of brightness,
            contrast, saturation and hue; -1 where the colours stay.
        factors: float32 (N, 4), the value of each of them.
        gray: bool (N,), whether the colours are taken away.
        radius: float32 (N,), of the blur in pixels; 0 where there is none.
        solarize: bool (N,), whether what is bright is inverted.
    """

    order: Tensor
    factors: Tensor
    gray: Tensor
    radius: Tensor
    solarize: Tensor


class Recipe:
    """How the V views of an image are drawn.

    Args:
        views: The views, one by one.
    """

    def __init__(self, views: Sequence[View]) -> None:
        self.scale = np.array([view.scale for view in views])
        self.blur = np.array([view.blur for view in views])
        self.solarize = np.array([view.solarize for view in views])
        strengths = np.array([view.color_jitter for view in views])
        # A factor lies around 1 and not below 0; the hue is turned to either side of 0.
        middle = np.array([1, 1, 1, 0])
        self.least = np.maximum(middle - strengths, [0, 0, 0, -np.inf])
        self.greatest = middle + strengths

    def draw(self, seeds: Sequence[int], height: int, width: int) -> tuple[Boxes, Draws]:
        """Draw for one image of this size; ``seeds``, numbers from 0 on, decide it alone.

        The numbers are those of PCG64, the same on every machine and in every version of NumPy.
        """
        num_views, of_crop, of_pixels = len(self.blur), 2 * TRIALS + 3, 13
        raw = np.random.PCG64(list(seeds)).random_raw(num_views * (of_crop + of_pixels))
        uniform = ((raw >> np.uint64(11)) * 2.0**-53).reshape(num_views, -1)
        boxes = draw_boxes(uniform[:, :of_crop], self.scale, height, width)
        return boxes, self.draw_pixels(uniform[:, of_crop:])

    def draw_pixels(self, uniform: np.ndarray) -> Draws:
        """What becomes of the pixels, of numbers (V, 13) from 0 to 1."""
        order, factors, (colors, gray, blur, radius, solarize) = (
            uniform[:, :4].argsort(1), uniform[:, 4:8], uniform[:, 8:].T,
        )  # fmt: skip
        order[colors >= COLORS] = -1
        factors = self.least + (self.greatest - self.least) * factors
        radius = np.where(blur < self.blur, RADIUS[0] + (RADIUS[1] - RADIUS[0]) * radius, 0)
        drawn = (order, factors, gray < GRAY, radius, solarize < self.solarize)
        return Draws(*(single(torch.from_numpy(values)) for values in drawn))


def single(values: Tensor) -> Tensor:
    """The values, in single precision if they are not whole."""
    return values.float() if values.is_floating_point() else values


def draw_boxes(uniform: np.ndarray, scale: np.ndarray, height: int, width: int) -> Boxes:
    """Crops as ``RandomResizedCrop`` draws them: the first of ten that lies within the image.

    Args:
        uniform: Numbers (V, 23) from 0 to 1: areas and ratios of the ten, place and flip.
        scale: Least and greatest share of the image's area, (V, 2).
        height: Of the image.
        width: Of the image.
    """
    areas, ratios = uniform[:, :TRIALS], uniform[:, TRIALS : 2 * TRIALS]
    least, greatest = scale[:, :1], scale[:, 1:]
    areas = height * width * (least + (greatest - least) * areas)
    ratios = RATIO[0] * (RATIO[1] / RATIO[0]) ** ratios  # uniform in the logarithm
    heights, widths = np.rint(np.sqrt(areas / ratios)), np.rint(np.sqrt(areas * ratios))
    fits = (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)
    view, first = np.arange(len(uniform)), fits.argmax(1)
    found = fits[view, first]
    most = largest_crop(height, width)
    high = np.where(found, heights[view, first], most[0]).astype(np.int64)
    wide = np.where(found, widths[view, first], most[1]).astype(np.int64)
    down, right, flip = uniform[:, 2 * TRIALS :].T
    # Where none of the ten fits, the crop lies in the middle.
    top = np.where(found, down * (height - high + 1), (height - high) // 2).astype(np.int64)
    left = np.where(found, right * (width - wide + 1), (width - wide) // 2).astype(np.int64)
    return Boxes(top, left, high, wide, flip < FLIP)


def largest_crop(height: int, width: int) -> tuple[int, int]:
    """(height, width) of the largest crop of an image whose ratio is allowed."""
    if width < RATIO[0] * height:
        return round(width / RATIO[0]), width
    if width > RATIO[1] * height:
        return height, round(height * RATIO[1])
    return height, width
