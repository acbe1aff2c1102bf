"""Folder -> image files -> RGB images."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from selfpatch.errors import InputError

Spare = Callable[[int, int], int]
"""Width and height of an image -> how many times as long as need be its sides are."""

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm")


def list_images(folder: str | os.PathLike[str]) -> np.ndarray:
    """Every image file below ``folder``, in class subfolders or not, in sorted order.

    Returns:
        A bytes array: one block of memory, which the data loader's workers share however many
        million files there are.

    Raises:
        InputError: The folder does not exist or holds no image.
    """
    if not Path(folder).is_dir():
        raise InputError(f"the image folder {folder} does not exist; give one with --data DIR")
    found = [
        os.fsencode(os.path.join(parent, name))
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.lower().endswith(EXTENSIONS)
    ]
    if not found:
        raise InputError(
            f"{folder} holds no image ({', '.join(EXTENSIONS)}), nor do its subfolders"
        )
    return np.sort(np.array(found))


class ImageFiles:
    """The images of a folder, by number.

    Args:
        folder: Images, with or without class subfolders.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.files = list_images(folder)

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        """Path of an image."""
        return os.fsdecode(self.files[index])

    def read(self, index: int, spare: Spare | None = None) -> Image.Image:
        """One image as :func:`read_image` gives it; raises InputError if it is damaged."""
        return read_image(self.name(index), spare=spare)


def read_image(
    file: str | os.PathLike[str] | BinaryIO, name: str = "", spare: Spare | None = None
) -> Image.Image:
    """Decode one file as RGB, upright; greyscale, CMYK, deep and transparent images too.

    Args:
        file: Path or content.
        name: Name of the file in an error; its path, if left out.
        spare: A JPEG whose sides are longer than need be is decoded at half, a quarter or an
            eighth of them, which takes less time; None decodes it as it is.

    Raises:
        InputError: The file does not exist, is truncated, no image or several.
    """
    upright = ImageOps.exif_transpose(read_stored(file, name, spare))
    if upright.mode.startswith(("I", "F")):  # convert() would cut them off at 0 and 255
        upright = Image.fromarray(in_8_bits(np.asarray(upright), name or str(file)))
    return upright.convert("RGB")


def in_8_bits(values: np.ndarray, name: str) -> np.ndarray:
    """The values of a deep or signed grey image (H, W) as uint8, in their order.

    Whole numbers from 0 on fill 8, 12 or 16 bits, the fewest that hold them. Anything else, such as
    tomography's signed numbers or floats, fills the range from its own least to its own greatest
    value.

    Raises:
        InputError: A value is infinite or not a number.
    """
    values = values.astype(np.float64)
    least, greatest = values.min(), values.max()
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds values that are infinite or no numbers; replace them")
    if least >= 0 and (values == np.floor(values)).all():
        depth = next((top for top in (255, 4095, 65535) if greatest <= top), greatest)
        least, greatest = 0.0, float(depth)
    scaled = (values - least) * (255 / (greatest - least or 1.0))
    return scaled.round().astype(np.uint8)


def read_stored(
    file: str | os.PathLike[str] | BinaryIO, name: str = "", spare: Spare | None = None
) -> Image.Image:
    """Decode one file as it is stored: in its own mode, not turned, so that masks fit on it.

    Arguments and errors are those of :func:`read_image`. A second image of a camera's JPEG, such as
    a preview, does not count.
    """
    try:
        with Image.open(file) as image:
            pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            if spare is not None:
                times = max(spare(*image.size), 1)
                image.draft(None, (image.width // times, image.height // times))
            image.load()
    except FileNotFoundError:
        raise InputError(f"{name or file} does not exist") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{name or file} is too large ({error}); make it smaller") from None
    except Exception as error:  # a damaged file leads Pillow's decoders to errors of any kind
        # Where Pillow knows no such format, its error is the path once more, or a place in memory.
        reason = "its format is unknown" if isinstance(error, UnidentifiedImageError) else error
        raise InputError(
            f"{name or file} cannot be read as an image ({reason}); fetch it again or remove it"
        ) from None
    if pages > 1:
        raise InputError(f"{name or file} holds {pages} images; save the one that is meant alone")
    return image


def size_of(file: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) as a file's header says, nothing decoded.

    Raises:
        InputError: The file does not exist or says nothing.
    """
    try:
        with Image.open(file) as image:
            return image.height, image.width
    except FileNotFoundError:
        raise InputError(f"{file} does not exist") from None
    except Exception as error:
        raise InputError(f"{file} cannot be read as an image ({error})") from None


SPREAD = {(2, 0): 85, (4, 0): 17}
"""Bits and kind of a PNG, grey, in its header -> by how much Pillow multiplies its values."""


def samples(image: Image.Image, content: bytes) -> np.ndarray:
    """The first channel (H, W) of an image as its file's content holds it."""
    values = np.asarray(image.getchannel(0) if image.mode == "LA" else image)
    if image.format == "PNG" and tuple(content[24:26]) in SPREAD:
        return values // SPREAD[content[24], content[25]]
    return values
