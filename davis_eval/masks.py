"""Mask files -> labels, whatever the mode of the file; labels -> mask files."""

from functools import lru_cache
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from davis_eval.png import plain_indices
from selfpatch.atomic import atomic_write
from selfpatch.data.images import read_stored, samples
from selfpatch.errors import InputError
from selfpatch.visualize.palette import standard_palette

VOID = 255
"""Label of pixels that belong neither to an object nor to the background."""

MOST_OBJECTS = 32
"""More grey values than these are no labels, but a picture or soft edges."""

PALETTE = standard_palette()
GREY = ("L", "LA", "I", "I;16")


def read_mask(path: Path) -> np.ndarray:
    """One mask as uint8 object labels (H, W): 0 background, 1 ... 254 objects, 255 void.

    A value means the same in an indexed as in a grey file, of however many bits; the official
    package takes Pillow's greys, which are 85 and 17 times those of 2 and 4 bits. A 1-bit mask is
    one object; so is a grey one of 0 and 255 only, where no mask beside it holds other labels. RGB
    is taken where all its colours are the standard palette's.

    Raises:
        InputError: The file is missing or truncated, or its values are no labels.
    """
    values, grey = read_values(path)
    binary = grey and is_binary(values)
    if binary and is_one_object(path.parent, path.parent.stat().st_mtime_ns):
        return (values == VOID).astype(np.uint8)
    return values


def read_ids(path: Path) -> np.ndarray:
    """One mask as uint8 (H, W) as it is stored: 255 is an object like any other.

    Errors are those of :func:`read_mask`.
    """
    return read_values(path)[0]


def read_values(path: Path) -> tuple[np.ndarray, bool]:
    """The values of a file, uint8 (H, W), and whether they are greys; errors as above."""
    content = content_of(path)
    plain = plain_indices(content)
    if plain is not None:
        return plain, False
    image = read_stored(BytesIO(content), str(path))
    if image.mode == "P":
        return np.asarray(image), False
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8), False
    if image.mode not in GREY:
        return labels_of_colors(image, path), False
    values = grey_values(image, content, path)
    check_labels(values, path)
    return values, True


def content_of(path: Path) -> bytes:
    """The content of a file; errors are those of :func:`selfpatch.data.images.read_stored`."""
    try:
        return path.read_bytes()
    except OSError:
        read_stored(path)  # which says what is wrong
        raise


def grey_values(image: Image.Image, content: bytes, path: Path) -> np.ndarray:
    """The values of a grey image (H, W), without its transparency."""
    values = samples(image, content)
    if values.min() < 0 or values.max() > VOID:
        raise InputError(
            f"{path} holds values from {values.min()} to {values.max()}; labels go from 0 to 254,"
            " and 255 is void"
        )
    return values.astype(np.uint8)


def is_binary(values: np.ndarray) -> bool:
    """Whether 0 and 255 are the only values, and 255 is one."""
    return values.max() == VOID and np.isin(values, (0, VOID)).all().item()


@lru_cache(maxsize=256)
def is_one_object(folder: Path, changed: int) -> bool:
    """Whether no mask of a folder holds anything but 0 and 255, so that 255 is its object.

    Args:
        folder: The masks of one sequence.
        changed: When the folder changed last; another state of it is looked at anew.
    """
    for path in folder.iterdir():
        if path.suffix.lower() == ".png" and not path.name.startswith("."):
            content = content_of(path)
            image = read_stored(BytesIO(content), str(path))
            if image.mode in ("P", *GREY) and not np.isin(samples(image, content), (0, VOID)).all():
                return False
    return True


def check_labels(values: np.ndarray, path: Path) -> None:
    """Raise InputError for grey values that are a soft-edged mask or a picture.

    Objects have an inside: places whose neighbours are all of the same object. Of the values along
    a soft edge most have none.
    """
    found = objects(values)
    with_inside = set(occurring(values[inside(values)]))
    thin = [label for label in found if label not in with_inside]
    if len(found) > MOST_OBJECTS or (len(thin) > 3 and 2 * len(thin) > len(found)):
        raise InputError(
            f"{path} holds {len(found)} grey values, which are soft edges or a picture and no"
            " labels; threshold it to 0 and 255, or save one label per object"
        )


def inside(values: np.ndarray) -> np.ndarray:
    """Which places (H, W) equal all of their neighbours; those at the border have fewer."""
    rows, columns = values.shape
    padded = np.pad(values, 1, mode="edge")
    found = np.ones_like(values, dtype=bool)
    for down, right in product(range(3), repeat=2):
        found &= padded[down : down + rows, right : right + columns] == values
    return found


def labels_of_colors(image: Image.Image, path: Path) -> np.ndarray:
    """Labels of an image whose colours are the standard palette's."""
    colors = np.asarray(image.convert("RGB")).astype(np.int32) @ (65536, 256, 1)
    known = np.array(PALETTE).reshape(-1, 3) @ (65536, 256, 1)
    order = known.argsort()
    place = known[order].searchsorted(colors).clip(max=255)
    labels = order[place].astype(np.uint8)
    if not (known[labels] == colors).all():
        raise InputError(
            f"{path} is {image.mode} with colours outside DAVIS's palette; save it as indexed PNG"
        )
    return labels


def objects(labels: np.ndarray) -> list[int]:
    """The objects' labels that occur, in order; they may have gaps."""
    return [label for label in occurring(labels) if label not in (0, VOID)]


def occurring(labels: np.ndarray) -> list[int]:
    """All labels that occur, in order: those of an image's first pixel and where they change."""
    row = labels.ravel()
    changed = np.unique(row[1:][row[1:] != row[:-1]]).tolist()
    return sorted({*row[:1].tolist(), *changed})


def visible(labels: np.ndarray) -> np.ndarray:
    """Labels with void counted as background, as the official evaluation does."""
    return np.where(labels == VOID, 0, labels)


def write_mask(path: Path, labels: np.ndarray) -> None:
    """Write labels uint8 (H, W) as an indexed PNG with the standard palette, atomically."""
    image = Image.fromarray(labels)
    image.putpalette(PALETTE)
    with atomic_write(path) as file:
        image.save(file, format="PNG")
