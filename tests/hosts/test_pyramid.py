"""The neck of ViTDet."""

import pytest
import torch
from torch import nn

from selfpatch.hosts.pyramid import SimplePyramid, ToStride


def references_levels(patch_size: int, dim: int) -> list[nn.Module]:
    """What the reference makes of a patch map: alinlab/SelfPatch, detection/backbone/."""
    if patch_size == 8:
        up = nn.ConvTranspose2d(dim, dim, 2, stride=2)
        return [up, nn.Identity(), nn.MaxPool2d(2, stride=2), nn.MaxPool2d(4, stride=4)]
    twice = nn.Sequential(
        nn.ConvTranspose2d(dim, dim, 2, stride=2),
        nn.BatchNorm2d(dim),
        nn.GELU(),
        nn.ConvTranspose2d(dim, dim, 2, stride=2),
    )
    once = nn.ConvTranspose2d(dim, dim, 2, stride=2)
    return [twice, once, nn.Identity(), nn.MaxPool2d(2, stride=2)]


@pytest.mark.parametrize("patch_size", [8, 16])
@torch.no_grad()
def test_the_levels_are_the_references(patch_size):
    patches = torch.randn(2, 6, 8, 12)
    height, width = 8 * patch_size, 12 * patch_size
    for stride, theirs in zip((4, 8, 16, 32), references_levels(patch_size, 6), strict=True):
        ours = ToStride(6, patch_size, stride, {"type": "BN"})
        weights = list(theirs.state_dict().values())
        assert [w.shape for w in ours.state_dict().values()] == [w.shape for w in weights]
        ours.load_state_dict(dict(zip(ours.state_dict(), weights, strict=True)))
        assert ours(patches, (height, width)).equal(theirs(patches))


@torch.no_grad()
def test_a_stride_that_is_no_power_of_two_away_is_reached_bilinearly():
    """By hand: two places, 14 pixels apart, read at seven places that are 4 apart."""
    level = ToStride(1, 14, 4, {"type": "BN"})
    found = level(torch.tensor([[[[0.0, 7.0]]]]), (4, 28))
    assert found.flatten().tolist() == pytest.approx([0, 0, 1.5, 3.5, 5.5, 7, 7], abs=1e-5)


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


def test_the_necks_convolutions_are_detectron2s():
    """facebookresearch/detectron2, modeling/backbone/vit.py, SimpleFeaturePyramid: no bias."""
    neck = SimplePyramid([8])
    assert [
        (layer.kernel_size, layer.out_channels, layer.bias)
        for layer in neck.levels[0]
        if isinstance(layer, nn.Conv2d)
    ] == [((1, 1), 256, None), ((3, 3), 256, None)]


def test_a_level_that_is_resized_has_nothing_to_train():
    assert list(ToStride(4, 14, 4, {"type": "BN"}).parameters()) == []
