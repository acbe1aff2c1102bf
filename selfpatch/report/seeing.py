"""Backbones and images -> what each backbone makes of each image: tokens and attention."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from selfpatch.backbones.file import BackboneInfo
from selfpatch.backbones.loading import load_backbone
from selfpatch.data.images import list_images, read_image
from selfpatch.errors import InputError
from selfpatch.models.trunks import Trunk
from selfpatch.models.vit import VisionTransformer
from selfpatch.visualize.attention import Patch, patch_attention
from selfpatch.visualize.tokens import to_input, token_map

Point = tuple[float, float]
"""x and y as shares of an image's width and height, from 0 to 1."""

SPREAD: tuple[Point, ...] = ((0.5, 0.5), (0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
"""The asking patches, where none are given."""


@dataclass(frozen=True)
class Settings:
    """How images are looked at.

    Attributes:
        queries: x and y of the asking patches, in pixels of an image; none for :data:`SPREAD`.
        share: Share of the patches that are marked as attended to most.
        long_side: Pixels to which the long side of an image is scaled for a backbone, about.
    """

    queries: tuple[tuple[float, float], ...] = ()
    share: float = 0.1
    long_side: int = 480

    def __post_init__(self) -> None:
        """Raise InputError for values that nothing can be drawn with."""
        if not 0 < self.share <= 1:
            raise InputError(
                f"--top {self.share:g} is no share of the patches; give 0.1 for a tenth"
            )
        if not 32 <= self.long_side <= 4096:
            raise InputError(f"--size {self.long_side} is not from 32 to 4096 pixels")


@dataclass(frozen=True)
class View:
    """An image that could be read: its name, a picture of it, and its asking points."""

    path: Path
    name: str
    picture: Image.Image
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Seen:
    """What one backbone makes of one image.

    Attributes:
        tokens: (rows, columns, D).
        attention: (asking patches, rows, columns); None where no patch attends to all others.
    """

    tokens: Tensor
    attention: Tensor | None


@dataclass(frozen=True)
class Backbone:
    """A backbone and what it makes of each image.

    Attributes:
        title: What it is called in the page.
        info: What its file says.
        seen: Of each view, in order.
    """

    title: str
    info: BackboneInfo
    seen: tuple[Seen, ...]

    @property
    def family(self) -> str:
        """``ViT``, ``Swin`` or ``ResNet``."""
        name = str(self.info.architecture["family"])
        return {"vit": "ViT", "swin": "Swin", "resnet": "ResNet"}.get(name, name)


def find_images(paths: Sequence[Path], most: int) -> list[Path]:
    """Images, and those below folders, in order; of more than ``most``, as many, evenly spaced.

    Raises:
        InputError: A path does not exist, a folder holds no image, or none is asked for.
    """
    if most < 1:
        raise InputError(f"--most {most} leaves no image; give 1 or more")
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += [Path(os.fsdecode(name)) for name in list_images(path)]
        elif path.is_file():
            found.append(path)
        else:
            raise InputError(f"the image {path} does not exist; give an image or a folder of some")
    places = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
    return [found[place] for place in places]


def look_at(
    weights: Sequence[Path],
    images: Sequence[Path],
    settings: Settings,
    titles: Sequence[str] | None = None,
    progress: Callable[[str], None] = lambda done: None,
) -> tuple[list[View], list[Backbone], dict[Path, str]]:
    """Run every backbone on every image, one backbone in memory at a time.

    Args:
        weights: File of each backbone.
        images: Image files.
        settings: How they are looked at.
        titles: What each backbone is called; see :func:`told_apart` where they are left out.
        progress: Called with what is being done.

    Returns:
        The images that could be read, the backbones, and why each other image could not.

    Raises:
        InputError: A backbone cannot be read, a query lies outside of an image, or no image is
            left.
    """
    views, faults = [], {}
    for path in images:
        try:
            image = read_image(path)
        except (InputError, OSError) as error:
            faults[path] = str(error)
        else:
            views.append(view_of(path, image, settings))
    if not views:
        raise InputError(f"no image is left to look at: {'; '.join(faults.values())}")
    infos, seen = [], []
    for number, path in enumerate(weights, start=1):
        progress(f"{path} ({number} of {len(weights)})")
        trunk, info = load_backbone(path)
        infos.append(info)
        seen.append(tuple(see(trunk, view, settings.long_side) for view in views))
    names = titles or told_apart(weights, infos)
    backbones = [Backbone(*parts) for parts in zip(names, infos, seen, strict=True)]
    return views, backbones, faults


def told_apart(weights: Sequence[Path], infos: Sequence[BackboneInfo]) -> list[str]:
    """Titles of backbones: their methods, or their files where methods do not tell them apart."""
    methods = [info.method for info in infos]
    if len(set(methods)) == len(methods) and "unknown" not in methods:
        return methods
    return [str(path) for path in weights]


def view_of(path: Path, image: Image.Image, settings: Settings) -> View:
    """An image as it is shown, and where the asking patches lie in it."""
    points = tuple(point_of(query, image.size, path) for query in settings.queries)
    image.thumbnail((settings.long_side, settings.long_side))
    return View(path, path.name, image, points or SPREAD)


def point_of(query: tuple[float, float], size: tuple[int, int], path: Path) -> Point:
    """Pixels of an image (width, height) as shares of its sides."""
    (x, y), (width, height) = query, size
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(
            f"the query {x:g} {y:g} lies outside of {path}, which is {width} pixels wide and"
            f" {height} high; change --query"
        )
    return (x + 0.5) / width, (y + 0.5) / height


def see(trunk: Trunk, view: View, long_side: int) -> Seen:
    """Tokens of one image, and the attention of its asking patches."""
    image = to_input(read_image(view.path), trunk, long_side)
    tokens = token_map(trunk, image)
    if not isinstance(trunk, VisionTransformer):
        return Seen(tokens, None)
    return Seen(tokens, patch_attention(trunk, image, patches_of(view.points, tokens.shape)))


def patches_of(points: Sequence[Point], grid: Sequence[int]) -> list[Patch]:
    """The patch of a grid (rows, columns, ...) that holds each point."""
    rows, columns = grid[:2]
    return [(min(int(y * rows), rows - 1), min(int(x * columns), columns - 1)) for x, y in points]
