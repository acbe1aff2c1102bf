"""The hosts' backbones keep all that they need on the device."""

from typing import Any

import pytest

from selfpatch.hosts.backbones import SelfPatchResNet, SelfPatchSwin, SelfPatchViT
from tests.fake_gpu import fake_gpu, images, on_gpu

VIT: dict[str, Any] = {"variant": "vit_tiny", "depth": 4, "out_indices": (0, 1, 2, 3)}


@pytest.mark.parametrize(
    "backbone",
    [
        lambda: SelfPatchViT(**VIT),
        lambda: SelfPatchViT(**VIT, window_size=2, global_blocks=(1, 3)),
        lambda: SelfPatchSwin(variant="swin_tiny"),
        lambda: SelfPatchResNet(),
    ],
    ids=["vit", "windows", "swin", "resnet"],
)
def test_a_backbone_needs_nothing_from_the_cpu(backbone):
    model = backbone().eval()
    with fake_gpu():
        maps = on_gpu(model)(images(2, 3, 96, 160))
    assert {level.device.type for level in maps} == {"cuda"}
