"""What the benchmark of the hosts counts and builds."""

import importlib

import pytest
import torch

from selfpatch.models.trunks import build_trunk
from tests import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hosts():
    """The benchmark, imported when the first test asks for it: it imports both hosts."""
    return importlib.import_module("tools.benchmarks.hosts")


def test_the_multiply_adds_of_a_linear_head_on_a_vit_are_those_counted_by_hand(hosts):
    tokens, dim = 1024, 384
    blocks = 12 * (12 * tokens * dim**2 + 2 * tokens**2 * dim)
    embedding, head = tokens * dim * 3 * 16**2, tokens * dim * 150
    path = ROOT / "mmseg_configs/linear_selfpatch-vit-s16_40k_ade20k-512x512.py"
    assert hosts.giga_multiply_adds(path) == pytest.approx(
        (blocks + embedding + head) / 1e9, rel=1e-6
    )


@torch.no_grad()
def test_the_hosts_vit_computes_the_same_as_ours(hosts):
    ours = build_trunk("vit_small").eval()
    trunk = hosts.HostsViT(ours, (64, 96), (2, 5, 8, 11), drop_path=0.0).eval()
    images = torch.randn(2, 3, 64, 96)
    found = trunk.layer_maps(images, (2, 5, 8, 11))
    for host_map, our_map in zip(found, ours.layer_maps(images, (2, 5, 8, 11)), strict=True):
        torch.testing.assert_close(host_map, our_map, rtol=1e-4, atol=1e-4)


def test_sizes_shrink_in_whole_multiples_of_32(hosts):
    assert hosts.shrunk((800, 1344), 0.25) == (192, 320)
    assert hosts.shrunk((512, 512), 0.01) == (32, 32)
