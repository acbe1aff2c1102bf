"""What the ViT adds to timm's: fixed positions, registers at any size."""

import math

import pytest
import torch

from selfpatch.models.trunks import build_trunk
from selfpatch.models.vit import sine_cosine_positions


def test_positions_of_sines_and_cosines_by_hand():
    """MoCo-v3's: the first half of a position tells its row."""
    positions = sine_cosine_positions(2, 3, 8).view(2, 3, 8)
    frequencies = [1.0, 10000.0**-0.5]
    waves = [f(1 * w) for f in (math.sin, math.cos) for w in frequencies]
    waves += [f(2 * w) for f in (math.sin, math.cos) for w in frequencies]
    assert positions[1, 2].tolist() == pytest.approx(waves, abs=1e-6)


def test_a_trunk_with_registers_takes_other_sizes():
    trunk = build_trunk("vit_tiny", depth=1, class_token=True, num_registers=3, image_size=64)
    assert trunk(torch.randn(1, 3, 32, 96)).shape == (1, 1 + 3 + 12, 192)
    assert trunk.layer_maps(torch.randn(1, 3, 32, 96), [0])[0].shape == (1, 192, 2, 6)
