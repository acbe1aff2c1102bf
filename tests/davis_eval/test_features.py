"""Features of every trunk, at the places that the reading asks for."""

import numpy as np
import pytest
import torch
from PIL import Image

from davis_eval.features import (
    Reading,
    extract,
    feature_maps,
    load_frame,
    network_size,
    resolved,
    stride,
)
from davis_eval.settings import Propagation
from selfpatch import build_trunk
from selfpatch.errors import InputError


@pytest.mark.parametrize(
    ("make", "reading", "pixels", "width"),
    [
        (lambda: build_trunk("vit_tiny", depth=3, patch_size=14), {"layer": 2}, 14, 192),
        (lambda: build_trunk("vit_tiny", depth=2, class_token=True, final_norm=True),
         {"tokens": "final-norm"}, 16, 192),
        (lambda: build_trunk("swin_tiny", depths=(1, 1, 1, 1)), {"layer": 2}, 8, 192),
        (lambda: build_trunk("swin_tiny", depths=(1, 1, 1, 1)), {}, 16, 384),
        (lambda: build_trunk("resnet50"), {}, 16, 1024),
    ],
    ids=["ViT/14", "ViT with norm", "Swin stage 2", "Swin", "ResNet-50"],
)  # fmt: skip
@torch.no_grad()
def test_every_trunk_gives_a_feature_per_stride(make, reading, pixels, width, tmp_path):
    trunk = make().eval()
    stated = resolved(Reading(short_side=96, **reading), trunk)
    assert stride(trunk, stated) == pixels
    Image.new("RGB", (160, 100), (90, 20, 30)).save(tmp_path / "f.png")
    (features,) = extract(trunk, [tmp_path / "f.png"], stated)
    height, long_side = network_size(100, 160, 96, pixels)
    assert features.shape == (height // pixels, long_side // pixels, width)


@torch.no_grad()
def test_the_last_block_is_what_the_trunk_itself_gives():
    vit = build_trunk("vit_tiny", depth=3, class_token=True, image_size=64, final_norm=True).eval()
    images = torch.randn(2, 3, 64, 96)
    tokens = vit(images)[:, 1:]
    for name, expected in (("last-block", tokens), ("final-norm", vit.norm(tokens))):
        reading = resolved(Reading(tokens=name), vit)
        found = feature_maps(vit, images, reading)
        torch.testing.assert_close(found.flatten(1, 2), expected, atol=1e-5, rtol=1e-5)


def test_a_layer_that_is_not_there_is_one_sentence():
    vit = build_trunk("vit_tiny", depth=3)
    with pytest.raises(InputError, match="layers 1 to 3, not 4"):
        resolved(Reading(layer=4), vit)
    with pytest.raises(InputError, match="no norm for layer 3"):
        resolved(Reading(tokens="final-norm"), build_trunk("resnet50"))


def test_the_defaults_are_dinos():
    """facebookresearch/dino, eval_video_segmentation.py:129, 197, 260-263."""
    settings = Propagation()
    assert (settings.context_frames, settings.radius) == (7, 12)
    assert (settings.top_k, settings.temperature) == (5, 0.1)
    assert Reading() == Reading(layer=None, tokens="last-block", short_side=480)


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((480, 854), (480, 832)),  # DAVIS at 480p: 854 is floored to a multiple of 64
        ((854, 480), (832, 480)),
        ((1080, 1920), (480, 832)),
        ((360, 640), (480, 832)),
        ((480, 910), (480, 896)),
        ((480, 480), (480, 448)),  # the long side is floored even where it is not longer
    ],
)
def test_a_frame_is_seen_at_the_size_that_dinos_evaluation_gives_it(size, seen):
    assert network_size(*size) == seen


def test_a_frame_is_normalised_as_dinos_evaluation_does_it(tmp_path):
    """By hand: its red is divided by 0.228 and not by ImageNet's 0.229, on whole numbers."""
    Image.new("RGB", (128, 128), (90, 20, 200)).save(tmp_path / "f.png")
    frame = load_frame(tmp_path / "f.png", build_trunk("vit_tiny", depth=1), 64)
    expected = [(90 / 255 - 0.485) / 0.228, (20 / 255 - 0.456) / 0.224, (200 / 255 - 0.406) / 0.225]
    assert frame.shape == (3, 64, 64)
    assert frame[:, 5, 7].tolist() == pytest.approx(expected, rel=1e-6)
    own = build_trunk("vit_tiny", depth=1, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    frame = load_frame(tmp_path / "f.png", own, 64)
    expected = [(90 / 255 - 0.5) / 0.2, (20 / 255 - 0.4) / 0.3, (200 / 255 - 0.3) / 0.4]
    assert frame[:, 5, 7].tolist() == pytest.approx(expected, rel=1e-6)


def test_a_frame_that_is_resized_is_rounded_to_whole_numbers(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "f.png")
    trunk = build_trunk("vit_tiny", depth=1, mean=(0.0,) * 3, std=(1.0,) * 3)
    frame = 255 * load_frame(tmp_path / "f.png", trunk, 64)
    torch.testing.assert_close(frame, frame.round(), atol=1e-4, rtol=0)
