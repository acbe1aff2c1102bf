"""Views are drawn from seed, epoch and index."""

from unittest.mock import Mock

import torch
from torchvision.transforms import InterpolationMode

from selfpatch.data.views import MultiViewDataset, View, augmentation


def test_views_depend_on_seed_epoch_and_index_alone(images):
    views = [View(32, (0.25, 1.0)), View(16, (0.05, 0.25), count=2)]
    dataset = MultiViewDataset(str(images), views)
    first = dataset[1, 3]["views"]
    torch.rand(5)
    again = dataset[1, 3]["views"]
    other_epoch = dataset[2, 3]["views"]
    assert [tuple(view.shape) for view in first] == [(3, 32, 32), (3, 16, 16), (3, 16, 16)]
    assert all(a.equal(b) for a, b in zip(first, again, strict=True))
    assert not all(a.equal(b) for a, b in zip(first, other_epoch, strict=True))
    assert not first[1].equal(first[2])


def test_what_is_drawn_is_dinos():
    """facebookresearch/dino, main_dino.py, DataAugmentationDINO, and utils.py, GaussianBlur."""
    view = View(32, (0.25, 1.0), blur=0.1, solarize=0.2)
    crop, flip, jitter, grey, blur, solarize = augmentation(view).transforms
    assert (crop.size, crop.scale, crop.ratio) == ((32, 32), (0.25, 1.0), (3 / 4, 4 / 3))
    assert crop.interpolation is InterpolationMode.BICUBIC
    assert (flip.p, jitter.p, grey.p, blur.p, solarize.p) == (0.5, 0.8, 0.2, 0.1, 0.2)
    (colors,) = jitter.transforms
    strengths = (colors.brightness, colors.contrast, colors.saturation, colors.hue)
    assert strengths == ((0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.1, 0.1))
    assert solarize.threshold == 128
    (blurring,) = blur.transforms
    radii = []
    image = Mock(filter=lambda kernel: radii.append(kernel.radius))
    for _ in range(300):
        blurring(image)
    assert 0.1 <= min(radii) < 0.15
    assert 1.95 < max(radii) <= 2.0


def test_other_jitter_and_interpolation_are_those_of_the_view():
    view = View(32, (0.25, 1.0), color_jitter=(0.4, 0.3, 0.5, 0.2), interpolation="bilinear")
    crop, _, jitter, *_ = augmentation(view).transforms
    (colors,) = jitter.transforms
    assert crop.interpolation is InterpolationMode.BILINEAR
    assert (colors.contrast, colors.saturation) == ((0.7, 1.3), (0.5, 1.5))


def test_a_view_that_says_no_more_is_dinos_local_one():
    view = View(96, (0.05, 0.25))
    assert (view.count, view.blur, view.solarize) == (1, 0.5, 0.0)
    assert (view.color_jitter, view.interpolation) == ((0.4, 0.4, 0.2, 0.1), "bicubic")
