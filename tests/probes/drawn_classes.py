"""Folders of CLASS/IMAGE that any weights tell apart."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"dark": (30, 40, 40), "light": (220, 200, 210), "red": (220, 30, 30)}


def draw_classes(root: Path, counts: dict[str, int], classes: tuple[str, ...]) -> Path:
    """Noise of 32x32 pixels around a colour for each class; ``counts`` has the images by split."""
    chance = np.random.default_rng(0)
    for split, count in counts.items():
        for name in classes:
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = chance.integers(-20, 20, (32, 32, 3)) + COLOURS[name]
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return root
