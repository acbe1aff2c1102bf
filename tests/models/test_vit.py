"""What the ViT adds to timm's: fixed positions, registers at any size."""

import math

import pytest
import torch
from torch import nn

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


def test_a_new_vit_is_drawn_as_dinos():
    """facebookresearch/dino, vision_transformer.py:135-176."""
    vit = build_trunk(
        "vit_tiny", depth=4, class_token=True, final_norm=True, num_registers=32, drop_path_rate=0.3
    )
    for name, value in vit.named_parameters():
        if name.startswith("patch_embed"):
            assert value.abs().max().item() <= (3 * 16 * 16) ** -0.5  # PyTorch's own for Conv2d
        elif name.endswith("bias"):
            assert not value.any(), name
        elif "norm" in name:
            assert (value == 1).all(), name
        else:
            rel = 0.2 if name == "cls_token" else 0.05
            assert value.std().item() == pytest.approx(0.02, rel=rel), name
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in vit.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert {module.eps for module in vit.modules() if isinstance(module, nn.LayerNorm)} == {1e-6}
    assert all(block.attn.qkv.bias is not None for block in vit.blocks)
    scaled = build_trunk("vit_tiny", depth=1, layer_scale=True)
    assert (scaled.blocks[0].ls1.gamma == 1e-5).all()  # DINOv2's, of its ViT-S to ViT-L
    assert (vit.mean, vit.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # of ImageNet


@torch.no_grad()
def test_positions_of_another_grid_are_dinos():
    """By hand from vision_transformer.py:184-204: bicubic, with 0.1 added to the target's sides."""
    trunk = build_trunk("vit_tiny", depth=1, class_token=True, image_size=64)
    torch.nn.init.normal_(trunk.pos_embed)
    own, patches = trunk.pos_embed[:, :1], trunk.pos_embed[:, 1:]
    resized = nn.functional.interpolate(
        patches.reshape(1, 4, 4, 192).permute(0, 3, 1, 2),
        scale_factor=((3 + 0.1) / 4, (7 + 0.1) / 4),
        mode="bicubic",
    )
    expected = torch.cat([own, resized.permute(0, 2, 3, 1).view(1, 21, 192)], dim=1)
    assert trunk.position_embedding((3, 7)).equal(expected)
