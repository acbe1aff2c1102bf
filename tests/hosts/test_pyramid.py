"""The neck of ViTDet."""

import torch

from selfpatch.hosts.pyramid import SimplePyramid


@torch.no_grad()
def test_vitdets_neck_has_each_level_for_itself_and_one_more():
    neck = SimplePyramid([8, 8], 16)
    maps = [torch.randn(1, 8, 6, 10), torch.randn(1, 8, 3, 5)]
    levels = neck(maps)
    assert [tuple(level.shape) for level in levels] == [
        (1, 16, 6, 10),
        (1, 16, 3, 5),
        (1, 16, 2, 3),
    ]
    assert levels[2].equal(levels[1][..., ::2, ::2])
    assert neck([torch.zeros_like(maps[0]), maps[1]])[1].equal(levels[1])
