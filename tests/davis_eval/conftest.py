"""A small video in the layout of YouTube-VOS."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from davis_eval.masks import write_mask
from tests.davis_eval.squares import squares


@pytest.fixture
def youtube_vos(tmp_path) -> Path:
    """A video whose second object has its first mask in frame 3; frames are 5 apart."""
    masks = squares(6, 2)
    for number in range(6):
        path = tmp_path / f"data/JPEGImages/v/{5 * number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.repeat(masks[number][..., None] * 80, 3, axis=2)).save(path)
    folder = tmp_path / "data/Annotations/v"
    write_mask(folder / "00000.png", np.where(masks[0] == 1, 1, 0).astype(np.uint8))
    write_mask(folder / "00015.png", np.where(masks[3] == 2, 2, 0).astype(np.uint8))
    return tmp_path / "data"
