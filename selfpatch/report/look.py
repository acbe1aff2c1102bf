"""Backbones and images -> what each backbone sees in each image, as pictures."""

import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from selfpatch.backbones.file import BackboneInfo, load_backbone
from selfpatch.data.images import list_images, read_image
from selfpatch.errors import InputError
from selfpatch.models.trunks import Trunk
from selfpatch.models.vit import VisionTransformer
from selfpatch.report.pages import Picture, Row, grid_picture, photo, write_page
from selfpatch.visualize.attention import Patch, patch_attention, top_share
from selfpatch.visualize.packed import Packed, pack
from selfpatch.visualize.pictures import frame_patch, heat, highlight
from selfpatch.visualize.tokens import similarity, to_input, token_colors, token_map

Point = tuple[float, float]
"""x and y as shares of an image's width and height, from 0 to 1."""

SPREAD: tuple[Point, ...] = ((0.5, 0.5), (0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
"""The asking patches, where none are given."""

NO_ATTENTION = "No patch of a {} attends to all others, so there is no map of it."


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


@dataclass(frozen=True)
class Panel:
    """One backbone's tokens of one image, as the page's script reads them."""

    title: str
    packed: Packed

    @property
    def codes(self) -> str:
        """The tokens' bytes."""
        return base64.b64encode(self.packed.codes.tobytes()).decode()

    @property
    def scale(self) -> str:
        """The step of each direction, as little-endian float32."""
        return base64.b64encode(self.packed.scale.astype("<f4").tobytes()).decode()


@dataclass(frozen=True)
class ImageLook:
    """One image in the page; ``note`` says why there is nothing of it to see."""

    name: str
    note: str = ""
    view: Picture | None = None
    queries: tuple[Point, ...] = ()
    asking: Row | None = None
    attention: tuple[Row, ...] = ()
    similarity: tuple[Row, ...] = ()
    panels: tuple[Panel, ...] = ()


@dataclass(frozen=True)
class Look:
    """Everything that ``looks.html`` shows.

    Attributes:
        summary: What is compared, in a sentence.
        backbones: In the order of the rows.
        images: Those that could be read, and a note for each other one.
        colors: A row per backbone.
        percent: How many percent of the patches are marked.
    """

    summary: str
    backbones: tuple[Backbone, ...]
    images: tuple[ImageLook, ...]
    colors: tuple[Row, ...]
    percent: str

    @property
    def precision(self) -> str:
        """How exact the similarities are that the page itself computes."""
        errors = [panel.packed.error for image in self.images for panel in image.panels]
        return (
            "Where you choose the patch, the page computes the cosines from 8 bits per direction of"
            f" a token; they are off by {max(errors, default=0):.3f} at most."
        )


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


def draw_look(
    views: Sequence[View],
    backbones: Sequence[Backbone],
    faults: dict[Path, str],
    settings: Settings,
) -> Look:
    """What :func:`look_at` found -> all pictures of the page."""
    notes = tuple(ImageLook(path.name, note) for path, note in faults.items())
    pictures = tuple(draw_image(i, view, backbones, settings) for i, view in enumerate(views))
    count = "one image" if len(views) == 1 else f"{len(views)} images"
    summary = f"{count}, as {' and '.join(b.title for b in backbones)} see them"
    return Look(
        summary[0].upper() + summary[1:],
        tuple(backbones),
        pictures + notes,
        tuple(draw_colors(views, backbone) for backbone in backbones),
        f"{100 * settings.share:g}",
    )


def draw_colors(views: Sequence[View], backbone: Backbone) -> Row:
    """The tokens' colours in all images."""
    colors = token_colors([seen.tokens for seen in backbone.seen])
    named = zip(colors, views, strict=True)
    return Row(backbone.title, tuple(grid_picture(part, view.name) for part, view in named))


def draw_image(
    index: int, view: View, backbones: Sequence[Backbone], settings: Settings
) -> ImageLook:
    """One image, as all backbones see it."""
    seen = [(backbone, backbone.seen[index]) for backbone in backbones]
    finest = max((s.tokens.shape[:2] for _, s in seen), key=lambda grid: grid[0])
    asking = Row("", tuple(photo(p, "the patch") for p in asking_pictures(view, finest)))
    return ImageLook(
        view.name,
        view=photo(view.picture, "", longest=settings.long_side),
        queries=view.points,
        asking=asking,
        attention=tuple(attention_row(view, b, s, settings.share) for b, s in seen),
        similarity=tuple(similarity_row(view, b, s) for b, s in seen),
        panels=tuple(Panel(b.title, pack(s.tokens)) for b, s in seen),
    )


def asking_pictures(view: View, grid: Sequence[int]) -> list[Image.Image]:
    """The image with each asking patch of a grid framed."""
    rows, columns = grid[:2]
    patches = patches_of(view.points, grid)
    return [frame_patch(view.picture, patch, (rows, columns)) for patch in patches]


def attention_row(view: View, backbone: Backbone, seen: Seen, share: float) -> Row:
    """The patches that each asking patch attends to most."""
    if seen.attention is None:
        return Row(backbone.title, note=NO_ATTENTION.format(backbone.family))
    drawn = attention_pictures(view, seen, share)
    return Row(backbone.title, tuple(photo(picture, "") for picture in drawn))


def attention_pictures(view: View, seen: Seen, share: float) -> list[Image.Image]:
    """The same, as images."""
    assert seen.attention is not None
    patches = patches_of(view.points, seen.tokens.shape)
    return [
        highlight(view.picture, top_share(values, share), patch)
        for values, patch in zip(seen.attention, patches, strict=True)
    ]


def similarity_row(view: View, backbone: Backbone, seen: Seen) -> Row:
    """How much every patch resembles each asking patch."""
    pictures = []
    for patch in patches_of(view.points, seen.tokens.shape):
        values = similarity(seen.tokens, patch)
        caption = f"{values.min():.2f} to {values.max():.2f}"
        pictures.append(photo(heat(view.picture, values, patch), caption))
    return Row(backbone.title, tuple(pictures))


def write_look(path: Path, look: Look) -> int:
    """Write the page; returns its bytes."""
    return write_page(path, "look.html", title="What backbones see", look=look, inferno=inferno())


def inferno() -> list[int]:
    """matplotlib's colours from dark to yellow: 256 times red, green and blue."""
    colors = colormaps["inferno"](np.arange(256))[:, :3]
    return [int(value) for value in (255 * colors).round().flatten()]


def paper_figure(
    views: Sequence[View], backbones: Sequence[Backbone], share: float, height: int = 240
) -> Image.Image:
    """Fig. 1 of the paper: the asking patches, and below them what each backbone attends to.

    One block per image. Backbones without such attention have no row.
    """
    rows: list[tuple[str, list[Image.Image]]] = []
    for index, view in enumerate(views):
        seen = [(backbone.title, backbone.seen[index]) for backbone in backbones]
        maps = [(title, one) for title, one in seen if one.attention is not None]
        if maps:
            finest = max((one.tokens.shape[:2] for _, one in maps), key=lambda grid: grid[0])
            rows.append(("query", asking_pictures(view, finest)))
            rows += [(title, attention_pictures(view, one, share)) for title, one in maps]
    if not rows:
        raise InputError("none of the backbones has attention to draw; leave --figure out")
    return labelled_rows(rows, height)


def labelled_rows(
    rows: Sequence[tuple[str, Sequence[Image.Image]]], height: int, gap: int = 6
) -> Image.Image:
    """Rows of pictures, each ``height`` pixels high, with the row's name to its left."""
    font = ImageFont.load_default(height / 10)
    margin = max(round(font.getlength(name)) for name, _ in rows) + 2 * gap
    scaled = [
        [p.resize((round(p.width * height / p.height), height)) for p in pictures]
        for _, pictures in rows
    ]
    width = margin + max(sum(p.width + gap for p in pictures) for pictures in scaled) - gap
    canvas = Image.new("RGB", (width, len(rows) * (height + gap) - gap), (255, 255, 255))
    pen = ImageDraw.Draw(canvas)
    for number, ((name, _), pictures) in enumerate(zip(rows, scaled, strict=True)):
        left, top = margin, number * (height + gap)
        pen.text((gap, top + height / 2), name, fill=(0, 0, 0), font=font, anchor="lm")
        for picture in pictures:
            canvas.paste(picture, (left, top))
            left += picture.width + gap
    return canvas
