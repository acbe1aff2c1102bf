"""Folder -> image files -> RGB images."""

import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

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


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """Decode one file as RGB, upright; greyscale, CMYK, 16-bit and transparent images too.

    Raises:
        InputError: The file is truncated or no image.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise InputError(
            f"{path} cannot be read as an image ({error}); remove or mend it"
        ) from None
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits per pixel, which convert() would cut off at 255
        upright = Image.fromarray((np.asarray(upright) // 257).astype(np.uint8))
    return upright.convert("RGB")
