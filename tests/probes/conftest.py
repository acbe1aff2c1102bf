"""Drawn scenes with label maps, and a backbone."""

import numpy as np
import pytest
from PIL import Image

from selfpatch.backbones.file import save_backbone
from selfpatch.backbones.loading import random_backbone

COLORS = ((220, 30, 30), (30, 200, 40), (40, 60, 220))


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Images of three coloured areas each, with maps; the classes are the colours."""
    root = tmp_path_factory.mktemp("scenes")
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


@pytest.fixture(scope="session")
def backbone(tmp_path_factory):
    path = tmp_path_factory.mktemp("backbone") / "random.safetensors"
    save_backbone(path, *random_backbone("vit_tiny", seed=0))
    return path
