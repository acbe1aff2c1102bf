"""Drawn scenes with label maps, and a backbone."""

import pytest

from selfpatch.backbones.file import save_backbone
from selfpatch.backbones.loading import random_backbone
from tests.data.drawn_scenes import draw_scenes


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """Images of three coloured areas each, with maps; the classes are the colours."""
    return draw_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="session")
def backbone(tmp_path_factory):
    path = tmp_path_factory.mktemp("backbone") / "random.safetensors"
    save_backbone(path, *random_backbone("vit_tiny", seed=0))
    return path
