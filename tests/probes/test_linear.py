"""Linear segmentation: pixels' features against torch's enlarging, rates, held-out images."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from selfpatch.data.segmented import folder
from selfpatch.errors import InputError
from selfpatch.probes.features import PatchFeatures
from selfpatch.probes.linear import (
    Training,
    linear_segmentation,
    split_off,
    statistics,
    train,
)
from selfpatch.probes.pixels import at_pixels


class Colours(PatchFeatures):
    """The mean colour of each patch, in the place of a trunk's tokens."""

    def __init__(self) -> None:
        self.device, self.size, self.patch_size, self.width = "cpu", 64, 8, 3

    def __call__(self, images):
        return F.avg_pool2d(images.float(), 8).flatten(2).transpose(1, 2)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Images of areas whose brightness is their class, between 0 and 2; one is not labelled."""
    root = tmp_path_factory.mktemp("scenes")
    generator = np.random.default_rng(0)
    for split, count in (("training", 8), ("validation", 3)):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number in range(count):
            labels = np.kron(generator.integers(0, 3, (5, 7)), np.ones((16, 16), dtype=int))
            pixels = 100 * labels[:, :, None] + generator.integers(0, 40, (*labels.shape, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / split / f"{number}.png")
            if (split, number) == ("training", 0):
                labels[:] = 255
            Image.fromarray(labels.astype(np.uint8)).save(root / "labels" / split / f"{number}.png")
    return root


@pytest.mark.parametrize("size", [(13, 40), (64, 64), (5, 3)])
def test_features_at_pixels_are_those_of_the_enlarged_map(size):
    features = torch.randn(36, 4, generator=torch.Generator().manual_seed(0))
    maps = features.T.view(1, 4, 6, 6)
    expected = F.interpolate(maps, size, mode="bilinear")[0].flatten(1).T
    rows, columns = torch.meshgrid(*(torch.arange(side) for side in size), indexing="ij")
    found = at_pixels(features, 6, rows.flatten(), columns.flatten(), size)
    torch.testing.assert_close(found, expected)


def test_classes_that_a_line_divides_are_learned(scenes):
    how = Training(rates=(1e-6, 3e-2), steps=150, images=4, pixels=64, held_out=0.25)
    sets = (folder(scenes, split, 3) for split in ("training", "validation"))
    metrics, rate = linear_segmentation(Colours(), *sets, how)
    assert rate == 3e-2  # the other one learns nothing
    assert metrics["mIoU"] > 50


def test_the_same_seed_gives_the_same_classifiers(scenes):
    images = folder(scenes, "training", 3)
    how = Training(steps=5, images=3, pixels=8)
    one, two = (train(Colours(), images, [0, 1, 2], how) for _ in range(2))
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert a.equal(b)


def test_statistics_are_those_of_all_patches(scenes):
    images = folder(scenes, "training", 3)
    patches = torch.cat([found for _, found in Colours().batches(images, [1, 4], 1, 0, "")])
    mean, std = statistics(Colours(), images, [1, 4], batch=2, workers=0)
    torch.testing.assert_close(mean, patches.mean(0))
    torch.testing.assert_close(std, patches.std(0, correction=0), rtol=1e-4, atol=1e-4)


def test_images_that_choose_the_rate_are_not_trained_on():
    seen, held_out = split_off(20, 0.1, seed=3)
    assert sorted(seen + held_out) == list(range(20))
    assert len(held_out) == 2
    assert split_off(20, 0.1, seed=4)[1] != held_out
    with pytest.raises(InputError, match="1 training images are too few"):
        split_off(1, 0.1, seed=0)
