"""Layer-wise decay by hand, for a trunk of each kind."""

import pytest
from torch import nn

from selfpatch.hosts.layer_decay import LayerDecay, layer_scales
from selfpatch.models.trunks import build_trunk


def shares(trunk, decay_rate: float) -> dict[str, float]:
    scales = layer_scales(trunk, decay_rate)
    return {name: scales[id(p)] for name, p in trunk.named_parameters()}


def test_a_vit_by_hand():
    found = shares(build_trunk("vit_tiny", depth=3, image_size=32, class_token=True), 0.5)
    assert {found[name] for name in ("cls_token", "pos_embed", "patch_embed.proj.weight")} == {
        1 / 16
    }
    blocks = [found[f"blocks.{i}.mlp.fc1.weight"] for i in range(3)]
    assert blocks == [1 / 8, 1 / 4, 1 / 2]


def test_what_merges_a_swins_patches_belongs_to_the_block_that_follows():
    swin = build_trunk("swin_tiny", embed_dim=24, depths=(1, 2, 1, 1), num_heads=(1, 2, 4, 8))
    found = shares(swin, 0.5)
    assert found["patch_embed.proj.weight"] == 0.5**6
    merging = "layers.2.downsample.reduction.weight"
    assert found[merging] == found["layers.2.blocks.0.mlp.fc1.weight"] == 0.5**2


def test_the_whole_model_in_one_optimiser():
    model = nn.Module()
    model.backbone = nn.Module()
    model.backbone.trunk = build_trunk("vit_tiny", depth=2, image_size=32)
    model.head = nn.Linear(2, 2)
    cfg = {"type": "OptimWrapper", "optimizer": {"type": "AdamW", "lr": 1.0, "weight_decay": 0.1}}
    wrapper = LayerDecay(cfg, {"decay_rate": 0.5, "norm_decay_mult": 0.0})(model)
    rates = {id(p): g["lr"] for g in wrapper.param_groups for p in g["params"]}
    assert set(rates) >= {id(p) for p in model.parameters()}  # and one of mmengine's own
    assert rates[id(model.head.weight)] == 1.0
    assert rates[id(model.backbone.trunk.blocks[1].attn.qkv.weight)] == pytest.approx(0.5)
    decays = {id(p): g["weight_decay"] for g in wrapper.param_groups for p in g["params"]}
    assert decays[id(model.backbone.trunk.blocks[0].norm1.weight)] == 0
