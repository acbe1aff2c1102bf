"""Packed tokens against exact cosines."""

import pytest
import torch
import torch.nn.functional as F

from selfpatch.visualize.packed import LARGEST_ERROR, pack

DRAWN = torch.Generator().manual_seed(0)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=DRAWN)


TOKENS = {
    "in all directions": drawn(12, 15, 96),
    "nearly parallel": drawn(12, 15, 96) * 0.05 + drawn(96),
    "in four directions": drawn(12, 15, 4) @ drawn(4, 96),
    "with some that are far longer": drawn(12, 15, 96) * drawn(12, 15, 1).exp() ** 4,
}


@pytest.mark.parametrize("tokens", TOKENS.values(), ids=TOKENS.keys())
def test_dot_products_of_the_bytes_are_the_cosines(tokens):
    packed = pack(tokens)
    assert packed.grid == (12, 15)
    read = torch.from_numpy(packed.codes).float() * torch.from_numpy(packed.scale)
    flat = tokens.flatten(0, 1).double()
    exact = F.cosine_similarity(flat[:, None], flat[None], dim=-1)
    error = (read @ read.T - exact).abs().max().item()
    assert error <= LARGEST_ERROR
    assert error == pytest.approx(packed.error, abs=1e-5)


def test_no_more_directions_are_kept_than_are_needed():
    assert pack(TOKENS["in four directions"]).codes.shape == (180, 16)
    assert pack(TOKENS["in all directions"]).codes.shape == (180, 96)


def test_a_token_without_length_resembles_nothing():
    packed = pack(torch.zeros(2, 2, 8))
    assert packed.error == 0
    assert not packed.codes.any()
