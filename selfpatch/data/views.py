"""Image -> views: DINO's multi-crop augmentation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2.functional import pil_to_tensor

from selfpatch.data.seeds import mixed_seed
from selfpatch.data.shards import open_images
from selfpatch.errors import InputError


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
            ("size", self.size >= 1, "1 pixel or more"),
            ("count", self.count >= 1, "1 or more"),
            ("scale", 0 < smallest <= largest <= 1, "two shares of an image's area that rise"),
            ("blur", 0 <= self.blur <= 1, "a probability"),
            ("solarize", 0 <= self.solarize <= 1, "a probability"),
            ("color_jitter", min(self.color_jitter) >= 0, "four strengths, 0 or above"),
            ("interpolation", self.interpolation in INTERPOLATIONS, "bicubic or bilinear"),
        ):
            if not in_range:
                raise InputError(f"a view's {name}={getattr(self, name)!r} must be {words}")


INTERPOLATIONS = {
    "bicubic": InterpolationMode.BICUBIC,
    "bilinear": InterpolationMode.BILINEAR,
}


class GaussianBlur(nn.Module):
    """Pillow's Gaussian blur with a radius drawn from [0.1, 2] pixels, as DINO uses it."""

    def forward(self, image: Image.Image) -> Image.Image:
        """Blur one image."""
        radius = torch.empty(()).uniform_(0.1, 2.0).item()
        return image.filter(ImageFilter.GaussianBlur(radius))


def single_views(views: Sequence[dict | View]) -> list[View]:
    """One entry for each view that is made of an image, in order."""
    specs = [view if isinstance(view, View) else View(**view) for view in views]
    return [view for view in specs for _ in range(view.count)]


def augmentation(view: View) -> nn.Module:
    """DINO's recipe: crop, flip, colour jitter, greyscale, blur, solarisation, in that order."""
    jitter = v2.ColorJitter(*view.color_jitter)
    resized = INTERPOLATIONS[view.interpolation]
    steps: list[nn.Module] = [
        v2.RandomResizedCrop(view.size, view.scale, interpolation=resized),
        v2.RandomHorizontalFlip(),
        v2.RandomApply([jitter], p=0.8),
        v2.RandomGrayscale(p=0.2),
        v2.RandomApply([GaussianBlur()], p=view.blur),
        v2.RandomSolarize(threshold=128, p=view.solarize),
    ]
    return v2.Compose(steps)


class MultiViewDataset(Dataset[dict[str, object]]):
    """Images -> V views each.

    An item is asked for as ``(epoch, index)``. What is drawn for it depends on that and on the
    seed alone, not on the worker, the number of processes or what was drawn before: this is what
    makes a resumed run equal an uninterrupted one.

    An image that cannot be read gives way to the next one.

    Args:
        folder: Images, with or without class subfolders, or tar shards, see
            :func:`selfpatch.data.shards.open_images`.
        views: The views to make, global ones first.
        seed: Seed of all random draws.
        max_images: No more than so many, the first ones; for trials.
    """

    def __init__(
        self,
        folder: str,
        views: Sequence[dict | View],
        seed: int = 0,
        max_images: int | None = None,
    ) -> None:
        self.images = open_images(folder)
        self.num_images = min(len(self.images), max_images or len(self.images))
        self.seed = seed
        self.augmentations = [augmentation(view) for view in single_views(views)]

    def __len__(self) -> int:
        return self.num_images

    def __getitem__(self, item: tuple[int, int]) -> dict[str, object]:
        """``(epoch, index)`` -> ``views``, a list of V uint8 (3, h, w), and where they come from.

        Returns:
            ``views``; the image's ``path``; ``unreadable``, a line for each image passed over.
        """
        epoch, index = item
        image, index, unreadable = self.readable(index)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(mixed_seed(self.seed, epoch, index))
            views: list[Tensor] = [pil_to_tensor(draw(image)) for draw in self.augmentations]
        path = self.images.name(index)
        return {"views": views, "path": path, "unreadable": "\n".join(unreadable)}

    def readable(self, index: int) -> tuple[Image.Image, int, list[str]]:
        """The first readable image from ``index`` on, its number, and what is wrong with others.

        Raises:
            InputError: A hundred images in a row cannot be read.
        """
        unreadable: list[str] = []
        for number in range(index, index + min(len(self), 100)):
            try:
                return self.images.read(number % len(self)), number % len(self), unreadable
            except InputError as error:
                unreadable.append(str(error))
        raise InputError(f"{len(unreadable)} images in a row cannot be read; {unreadable[0]}")
