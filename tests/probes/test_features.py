"""Features of patches: which layer, which size, which precision."""

import pytest
import torch

from selfpatch.backbones.loading import load_backbone
from selfpatch.data.segmented import folder
from selfpatch.errors import InputError
from selfpatch.models.trunks import build_trunk
from selfpatch.probes.features import PatchFeatures


@pytest.fixture(scope="module")
def trunk(backbone):
    return load_backbone(backbone)[0]


def normalised(features: PatchFeatures, images: torch.Tensor) -> torch.Tensor:
    return (images / 255 - torch.tensor(features.trunk.mean).view(3, 1, 1)) / torch.tensor(
        features.trunk.std
    ).view(3, 1, 1)


def test_a_layers_features_are_its_map_and_the_last_are_normed(trunk):
    images = torch.randint(0, 256, (2, 3, 48, 64), dtype=torch.uint8)
    for layer in (1, 7, 12):
        features = PatchFeatures(trunk, "cpu", 48, layer)
        (expected,) = trunk.layer_maps(normalised(features, images), [layer - 1])
        torch.testing.assert_close(features(images), expected.flatten(2).transpose(1, 2))
    features = PatchFeatures(trunk, "cpu", 48)
    expected = trunk.norm(trunk(normalised(features, images)))
    torch.testing.assert_close(features(images), expected)


def test_a_stage_has_its_own_grid_and_width():
    swin = build_trunk("swin_tiny", embed_dim=24, num_heads=(1, 2, 4, 8)).eval()
    features = PatchFeatures(swin, "cpu", 64, layer=2)
    assert (features.grid, features.width) == (8, 48)
    assert features(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape == (1, 64, 48)


@pytest.mark.parametrize("layer", [0, 13, -1])
def test_a_layer_that_there_is_not_is_refused(trunk, layer):
    with pytest.raises(InputError, match=f"has layers 1 to 12; --layer {layer} is none of them"):
        PatchFeatures(trunk, "cpu", 48, layer)


def test_a_size_without_whole_patches_is_refused(trunk):
    with pytest.raises(InputError, match="100 pixels are not made of whole patches of 16; give"):
        PatchFeatures(trunk, "cpu", 100)


def test_features_in_half_precision_are_the_others_rounded(trunk):
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    whole, half = (PatchFeatures(trunk, "cpu", 32, half=half)(images) for half in (False, True))
    assert half.equal(whole.half().float())


def test_features_of_some_images_come_with_their_numbers(trunk, scenes):
    images = folder(scenes, "training", 3)
    features = PatchFeatures(trunk, "cpu", 32)
    found = dict(features.batches(images, [4, 1, 3], batch=2, workers=0, name=""))
    assert list(found) == [4, 1, 3]
    for number, own in found.items():
        (expected,) = features(features.items(images)[number][None])
        torch.testing.assert_close(own, expected)
