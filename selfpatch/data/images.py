"""Folder -> image files -> RGB images."""

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from selfpatch.errors import InputError

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

    def read(self, index: int) -> Image.Image:
        """One image as RGB; raises InputError if it is damaged."""
        return read_image(self.name(index))


def read_image(file: str | os.PathLike[str] | BinaryIO, name: str = "") -> Image.Image:
    """Decode one file as RGB, upright; greyscale, CMYK, 16-bit and transparent images too.

    Args:
        file: Path or content.
        name: Name of the file in an error; its path, if left out.

    Raises:
        InputError: The file does not exist, is truncated or no image.
    """
    upright = ImageOps.exif_transpose(read_stored(file, name))
    if upright.mode.startswith("I"):  # 16 bits per pixel, which convert() would cut off at 255
        upright = Image.fromarray((np.asarray(upright) // 257).astype(np.uint8))
    return upright.convert("RGB")


def read_stored(file: str | os.PathLike[str] | BinaryIO, name: str = "") -> Image.Image:
    """Decode one file as it is stored: in its own mode, not turned, so that masks fit on it.

    Arguments and errors are those of :func:`read_image`.
    """
    try:
        with Image.open(file) as image:
            image.load()
    except FileNotFoundError:
        raise InputError(f"{name or file} does not exist") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{name or file} is too large ({error}); make it smaller") from None
    except Exception as error:  # a damaged file leads Pillow's decoders to errors of any kind
        raise InputError(
            f"{name or file} cannot be read as an image ({error}); fetch it again or remove it"
        ) from None
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
