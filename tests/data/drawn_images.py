"""Images for the tests, drawn from random numbers."""

from pathlib import Path

import numpy as np
from PIL import Image


def draw_images(folder: Path) -> Path:
    """Fourteen images, in two class folders, of several sizes and modes."""
    draw = np.random.default_rng(0)
    for number in range(14):
        shape = (40 + number, 48, 3) if number % 3 else (40 + number, 48)
        path = folder / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return folder
