"""Swin against its authors' two ways to compute: as a classifier (timm) and as the hosts do."""

import pytest
import timm
import torch
from mmdet.models.backbones.swin import SwinTransformer, swin_converter

from selfpatch.models.swin import Swin, shift_mask
from selfpatch.models.trunks import build_trunk


@torch.no_grad()
def test_at_224_pixels_it_gives_the_classifiers_tokens():
    """timm's stages are its authors' there: grids of 56, 28, 14 and 7 are whole windows."""
    swin = build_trunk("swin_tiny", final_norm=True).eval()
    theirs = timm.create_model("swin_tiny_patch4_window7_224", num_classes=0).eval()
    theirs.load_state_dict(swin.state_dict())
    images = torch.randn(1, 3, 224, 224)
    expected = theirs.forward_features(images)
    torch.testing.assert_close(swin.norm(swin(images)).view_as(expected), expected)
    for size, grid in {(96, 64): (3, 2), (100, 97): (4, 4)}.items():
        images = torch.randn(2, 3, *size)
        assert swin.grid(images) == grid
        assert swin(images).shape == (2, grid[0] * grid[1], 768)


def hosts_swin(swin: Swin) -> SwinTransformer:
    """mmdetection's Swin-T with equal weights; merged patches lie in another order there."""
    theirs = SwinTransformer(
        depths=swin.architecture["depths"], out_indices=(0, 1, 2, 3), patch_norm=True
    )
    theirs.eval()  # which returns nothing
    official = {}
    for name, value in swin.state_dict().items():
        stage = int(name.split(".")[1]) if ".downsample." in name else 0
        official[name.replace(f"layers.{stage}.down", f"layers.{stage - 1}.down")] = value
    converted = {n.removeprefix("backbone."): v for n, v in swin_converter(official).items()}
    missing, left_over = theirs.load_state_dict(converted, strict=False)
    assert left_over == []
    assert all(n.startswith("norm") or n.endswith("position_index") for n in missing)
    return theirs


@pytest.mark.parametrize(
    "size", [(96, 96), (224, 224), (448, 448), (512, 512), (800, 1344)], ids=str
)
@torch.no_grad()
def test_as_a_host_computes_it_every_stage_is_the_hosts(size):
    """timm's differ by 0.2 to 8 % wherever a grid is no multiple of the window."""
    swin = build_trunk("swin_tiny", depths=(2, 2, 2, 2), always_shift=True).eval()
    for parameter in swin.parameters():
        parameter += 0.05 * torch.randn_like(parameter)
    theirs = hosts_swin(swin)
    for index in range(4):  # ours come before the norm of each stage
        setattr(theirs, f"norm{index}", torch.nn.Identity())
    images = torch.randn(1, 3, *size)
    for own, expected in zip(swin.layer_maps(images, range(4)), theirs(images), strict=True):
        assert ((own - expected).norm() / expected.norm()).item() < 5e-6


@torch.no_grad()
def test_the_last_rows_of_an_image_change_nothing_in_its_first():
    swin = build_trunk("swin_tiny", depths=(2, 2, 2, 2)).eval()
    images = torch.randn(1, 3, 256, 256)
    (before,) = swin.layer_maps(images, [0])
    images[:, :, -4:] = 0
    (after,) = swin.layer_maps(images, [0])
    assert after[:, :, :32].equal(before[:, :, :32])
    assert not after[:, :, -1].equal(before[:, :, -1])


@torch.no_grad()
def test_a_stage_of_one_window_is_shifted_in_hosts_only():
    images = torch.randn(1, 3, 224, 224)
    torch.manual_seed(0)
    alone = build_trunk("swin_tiny", depths=(2, 2, 2, 2)).eval()
    hosts = build_trunk("swin_tiny", depths=(2, 2, 2, 2), always_shift=True).eval()
    hosts.load_state_dict(alone.state_dict())
    pairs = list(
        zip(alone.layer_maps(images, range(4)), hosts.layer_maps(images, range(4)), strict=True)
    )
    assert [one.equal(other) for one, other in pairs] == [True, True, True, False]


def test_what_the_roll_brought_together_does_not_attend_to_itself():
    """By hand: 2 x 4 places in windows of 2, rolled by 1."""
    masks = shift_mask(2, 4, window_size=2, shift=(1, 1))
    assert masks.shape == (2, 4, 4)
    assert masks[0].eq(0).tolist() == [
        [True, True, False, False], [True, True, False, False],
        [False, False, True, True], [False, False, True, True],
    ]  # fmt: skip
    assert masks[1].eq(0).equal(torch.eye(4, dtype=torch.bool))
    assert set(masks.unique().tolist()) == {-100.0, 0.0}


def test_a_new_swin_is_drawn_as_its_authors():
    """microsoft/Swin-Transformer, models/swin_transformer.py; MoBY's is the same."""
    swin = build_trunk("swin_tiny", final_norm=True, drop_path_rate=0.22)
    for name, value in swin.layers.named_parameters():
        if name.endswith("bias"):
            assert not value.any(), name
        elif "norm" in name:
            assert (value == 1).all(), name
        else:
            assert value.std().item() == pytest.approx(0.02, rel=0.2), name
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in swin.blocks]
    assert rates == pytest.approx([0.02 * index for index in range(12)])
    norms = [module.eps for module in swin.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert set(norms) == {1e-5}
    assert swin.layer_strides == (4, 8, 16, 32)
    assert (swin.num_heads, swin.embed_dim, swin.layer_dims) == (24, 768, (96, 192, 384, 768))
    assert [block.shift for block in swin.blocks] == [0, 3] * 6
    small = build_trunk("swin_tiny", image_size=64)  # its last grids are smaller than a window
    assert [stage.blocks[0].side for stage in small.layers] == [7, 7, 4, 2]


def test_activation_checkpointing_gives_the_same_gradient():
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        swin = build_trunk(
            "swin_tiny", depths=(1, 1, 1, 1), activation_checkpointing=checkpointing
        ).train()
        swin(torch.randn(1, 3, 64, 64)).sum().backward()
        gradients.append(swin.patch_embed.proj.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])
