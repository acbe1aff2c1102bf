"""Small data sets of every kind, and a backbone that takes them."""

from pathlib import Path

import pytest

from selfpatch import build_trunk
from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.demo.data import Sizes, generate


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    sizes = Sizes(pretraining=8, coco_train=4, coco_val=2, ade_train=4, ade_val=2, frames=6)
    return generate(tmp_path_factory.mktemp("data") / "tiny", sizes)


@pytest.fixture(scope="session")
def backbone(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "b.safetensors"
    vit = build_trunk("vit_tiny", depth=6, image_size=96)
    save_backbone(path, vit.state_dict(), BackboneInfo(vit.architecture, "dino", "test"))
    return path
