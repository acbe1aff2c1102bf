"""What backbones see in images -> the pictures of a page, the page, and a figure for papers."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont

from selfpatch.errors import InputError
from selfpatch.report.pages import Picture, Row, grid_picture, photo, write_page
from selfpatch.report.seeing import Backbone, Point, Seen, Settings, View, patches_of
from selfpatch.visualize.attention import top_share
from selfpatch.visualize.packed import Packed, pack
from selfpatch.visualize.pictures import frame_patch, heat, highlight
from selfpatch.visualize.tokens import similarity, token_colors

NO_ATTENTION = "No patch of a {} attends to all others, so there is no map of it."


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


def draw_look(
    views: Sequence[View],
    backbones: Sequence[Backbone],
    faults: dict[Path, str],
    settings: Settings,
) -> Look:
    """What :func:`selfpatch.report.seeing.look_at` found -> all pictures of the page."""
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
