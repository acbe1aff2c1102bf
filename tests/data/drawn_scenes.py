"""Images of coloured areas with label maps, in the layout of a folder of one's own."""

from pathlib import Path

import numpy as np
from PIL import Image

COLORS = ((220, 30, 30), (30, 200, 40), (40, 60, 220))
"""The three classes."""


def draw_scenes(root: Path) -> Path:
    """Draw six training and three validation images of 80 x 64 pixels; returns the folder."""
    generator = np.random.default_rng(0)
    for split, count in (("training", 6), ("validation", 3)):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number in range(count):
            blocks = generator.integers(0, 3, (4, 5))
            labels = np.kron(blocks, np.ones((16, 16), dtype=int)).astype(np.uint8)
            pixels = np.array(COLORS)[labels] + generator.integers(-20, 20, (*labels.shape, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
                root / "images" / split / f"{number}.png"
            )
            Image.fromarray(labels).save(root / "labels" / split / f"{number}.png")
    return root
