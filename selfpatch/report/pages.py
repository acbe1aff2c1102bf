"""Template and values -> one HTML page that needs nothing beside it."""

import base64
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from selfpatch.atomic import atomic_write
from selfpatch.errors import InputError

SHOWN = 360
"""Pixels of the long side of a picture in a page."""


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Attributes:
        url: The picture itself, as a data URL.
        caption: What is to be read under it; also what a reader hears who does not see it.
        is_grid: Whether it has a pixel per patch, which are not to be blurred.
        note: Where there is no picture, the reason.
    """

    url: str
    caption: str
    is_grid: bool = False
    note: str = ""


@dataclass(frozen=True)
class Row:
    """Pictures side by side, under a title; or a sentence that says why there are none."""

    title: str
    pictures: tuple[Picture, ...] = ()
    note: str = ""


def photo(image: Image.Image, caption: str, longest: int = SHOWN) -> Picture:
    """A picture as JPEG, no side longer than ``longest`` pixels."""
    image = image.convert("RGB")
    image.thumbnail((longest, longest))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=85)
    return Picture(data_url("image/jpeg", data.getvalue()), caption)


def grid_picture(colors: np.ndarray, caption: str) -> Picture:
    """Colours of patches, uint8 (rows, columns, 3), as PNG with a pixel each."""
    data = io.BytesIO()
    Image.fromarray(colors).save(data, "PNG")
    return Picture(data_url("image/png", data.getvalue()), caption, is_grid=True)


def drawing(svg: str, caption: str) -> Picture:
    """A drawing in SVG, as an image: whatever stands in it, no code of it runs."""
    return Picture(data_url("image/svg+xml", svg.encode()), caption)


def data_url(kind: str, data: bytes) -> str:
    """Bytes as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def photo_or_note(caption: str, draw: Callable[[], Image.Image]) -> Picture:
    """A picture; where it cannot be drawn, the reason stands in its place."""
    try:
        return photo(draw(), caption)
    except Exception as error:  # whatever a file holds, it costs its picture alone
        return Picture("", caption, note=reason_of(error))


def row_or_note(title: str, draw: Callable[[], list[Picture]]) -> Row:
    """A row; where none of it can be drawn, the reason stands in its place."""
    try:
        return Row(title, tuple(draw()))
    except Exception as error:  # whatever a file holds, it costs its row alone
        return Row(title, note=reason_of(error))


def reason_of(error: Exception) -> str:
    """Why something is not drawn."""
    known = isinstance(error, InputError | OSError)
    return f"Not drawn: {error if known else f'{type(error).__name__}: {error}'}."


def write_page(path: str | os.PathLike[str], template: str, **values: Any) -> int:
    """Fill in a template of ``templates/``, write the page atomically, and return its bytes.

    Every value is escaped.
    """
    environment = Environment(
        loader=PackageLoader("selfpatch.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(template).render(values).encode()
    with atomic_write(path) as file:
        file.write(page)
    return len(page)
