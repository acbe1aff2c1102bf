"""Tokens of an image, their similarity and their colours, against NumPy and laws."""

import numpy as np
import pytest
import torch
from PIL import Image

from selfpatch.models.trunks import build_trunk
from selfpatch.models.vit import VisionTransformer
from selfpatch.visualize.tokens import (
    principal_components,
    similarity,
    to_input,
    token_colors,
    token_map,
)


def small_vit(**changes) -> VisionTransformer:
    sizes = dict(embed_dim=24, depth=1, num_heads=2, patch_size=8, image_size=32)
    return VisionTransformer(**{**sizes, **changes}).eval()


def test_input_has_whole_patches_and_is_normalised_as_the_trunk_says():
    grey = Image.new("RGB", (100, 50), (128, 128, 128))
    tensor = to_input(grey, small_vit(mean=(0.5, 0.5, 0.5), std=(0.1, 0.2, 0.4)), 96)
    assert tensor.shape == (3, 48, 96)
    expected = torch.tensor([(128 / 255 - 0.5) / std for std in (0.1, 0.2, 0.4)])
    torch.testing.assert_close(tensor[:, 20, 30], expected)


def test_the_tokens_of_a_vit_are_its_patches_in_their_places():
    vit, image = small_vit(class_token=True, num_registers=2), torch.randn(3, 24, 40)
    tokens = token_map(vit, image)
    assert tokens.shape == (3, 5, 24)
    torch.testing.assert_close(tokens[1, 2], vit(image[None])[0, 3 + 1 * 5 + 2])


@pytest.mark.parametrize("variant", ["swin_tiny", "resnet50"])
def test_a_swin_and_a_resnet_are_read_where_places_are_16_pixels_apart(variant):
    trunk = build_trunk(variant).eval()
    assert token_map(trunk, torch.randn(3, 64, 96)).shape == (4, 6, trunk.layer_dims[2])


def test_a_patch_resembles_itself_most():
    found = similarity(torch.randn(3, 5, 24), (2, 4))
    assert found.shape == (3, 5)
    assert found[2, 4].item() == pytest.approx(1.0, abs=1e-5)
    assert found.argmax() == 2 * 5 + 4


def test_principal_components_are_those_of_a_singular_value_decomposition():
    tokens = torch.randn(40, 7, dtype=torch.float64) * torch.arange(1, 8)
    left, values, right = np.linalg.svd((tokens - tokens.mean(0)).numpy(), full_matrices=False)
    signs = np.sign([row[np.abs(row).argmax()] for row in right[:3]])
    expected = left[:, :3] * values[:3] * signs
    np.testing.assert_allclose(principal_components(tokens, 3).numpy(), expected, atol=1e-9)


def test_the_order_of_the_tokens_changes_no_component():
    tokens, order = torch.randn(50, 6, dtype=torch.float64), torch.randperm(50)
    found = principal_components(tokens[order], 3)
    torch.testing.assert_close(found, principal_components(tokens, 3)[order])


def test_a_direction_that_does_not_exist_gives_zeros():
    assert principal_components(torch.randn(9, 2, dtype=torch.float64), 3)[:, 2].tolist() == [0] * 9


def test_a_colour_means_the_same_in_every_image_of_a_set():
    first, second = torch.randn(4, 6, 16), torch.randn(2, 3, 16)
    second[1, 1] = 5 * first[2, 3]  # longer, and alike
    colors = token_colors([first, second])
    assert [part.shape for part in colors] == [(4, 6, 3), (2, 3, 3)]
    assert colors[1][1, 1].tolist() == colors[0][2, 3].tolist()
    joined = token_colors([torch.cat([first.flatten(0, 1), second.flatten(0, 1)])[None]])[0][0]
    assert (joined[:24] == colors[0].reshape(-1, 3)).all()


def test_an_outlier_does_not_take_the_colours_of_the_others():
    tokens = torch.randn(20, 20, 3)
    tokens[..., 0] = tokens[..., 0].abs() + 5
    tokens[0, 0] = torch.tensor([-1.0, 0.0, 0.0])
    rest = token_colors([tokens])[0].reshape(-1, 3)[1:]
    assert (np.ptp(rest, axis=0) > 200).all()


def test_equal_tokens_have_one_colour():
    assert len(np.unique(token_colors([torch.ones(3, 4, 8)])[0])) == 1
