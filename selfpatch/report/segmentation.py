"""Predicted class maps -> painted beside the true ones."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from selfpatch.data.images import read_stored
from selfpatch.report.outcomes import Outcome, evenly
from selfpatch.report.pages import Picture, Row, photo, photo_or_note, row_or_note
from selfpatch.visualize.pictures import Color, distinct_colors, paint_labels

IMAGES, TRUTH = "images/validation", "annotations/validation"
"""Where ADE20K's images and maps lie; 0 is other in the maps, and does not count."""

Legend = tuple[tuple[str, str], ...]


def segmentation_rows(
    outcomes: Sequence[Outcome], count: int = 2
) -> tuple[tuple[Row, ...], Legend]:
    """A row per image: the picture, the true classes and every model's.

    Returns:
        The rows, and name and CSS colour of every class in them; nothing, where no model has left
        maps.
    """
    data = next((o.data for o in outcomes if o.data.is_dir()), outcomes[0].data)
    images = evenly(sorted((data / IMAGES).glob("*.jpg")), count)
    folders = {o.title: maps_in(o.folder) for o in outcomes}
    found = {title: folder for title, folder in folders.items() if folder}
    if not found:
        return (), ()
    if not images:
        return (Row("", note=f"Not drawn: {data / IMAGES} holds no images."),), ()
    sources = {"ground truth": data / TRUTH, **found}
    colors = colors_of(sources.values(), images)
    rows = tuple(row_or_note(path.name, partial(painted, path, sources, colors)) for path in images)
    names = class_names()
    legend = tuple((names.get(k, f"class {k}"), f"rgb{color}") for k, color in colors.items())
    return rows, legend


def maps_in(folder: Path) -> Path | None:
    """The folder that mmsegmentation's ``output_dir`` was, if it lies beside the results file."""
    return next((path.parent for path in sorted(folder.glob("*/*.png"))), None)


def colors_of(folders: Iterable[Path], images: Sequence[Path]) -> dict[int, Color]:
    """A colour for every class in some maps; maps that cannot be read are told of elsewhere."""
    seen: set[int] = set()
    for folder in folders:
        for image in images:
            try:
                seen |= set(np.unique(read_map(folder, image)).tolist())
            except Exception:  # a sentence stands in the place of its picture
                continue
    classes = sorted(seen - {0, 255})
    return dict(zip(classes, distinct_colors(len(classes)), strict=True))


def painted(path: Path, sources: Mapping[str, Path], colors: Mapping[int, Color]) -> list[Picture]:
    """One image, and its classes as each source has them, where the truth has any."""
    picture = read_stored(path).convert("RGB")
    known = read_map(sources["ground truth"], path) > 0

    def paint(folder: Path) -> Image.Image:
        return paint_labels(picture, read_map(folder, path) * known, colors, 0.65)

    maps = [photo_or_note(title, partial(paint, folder)) for title, folder in sources.items()]
    return [photo(picture, "image"), *maps]


def read_map(folder: Path, image: Path) -> np.ndarray:
    """The class of every pixel of an image, (H, W) uint8."""
    return np.asarray(read_stored(folder / f"{image.stem}.png"))


def class_names() -> dict[int, str]:
    """ADE20K's name of every class id; none where mmsegmentation is not installed."""
    try:
        from mmseg.utils import ade_classes
    except ImportError:
        return {}
    return dict(enumerate(ade_classes(), start=1))
