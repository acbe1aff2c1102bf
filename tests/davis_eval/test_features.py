"""Features of every trunk, at the places that the reading asks for."""

import pytest
import torch
from PIL import Image

from davis_eval.features import Reading, extract, feature_maps, network_size, resolved, stride
from selfpatch import build_trunk
from selfpatch.errors import InputError


def test_frames_are_seen_at_480_pixels_and_whole_blocks_of_64():
    assert network_size(480, 854) == (480, 832)
    assert network_size(854, 480) == (832, 480)
    assert network_size(480, 910) == (480, 896)


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
