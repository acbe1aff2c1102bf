"""MoCo-v3's loss, by hand."""

import pytest
import torch
from torch import nn

from selfpatch.engine.optimizer import AllDecay, DecayGroups
from selfpatch.models.trunks import build_trunk
from selfpatch.models.vit import sine_cosine_positions
from selfpatch.objectives.mocov3 import MoCoV3
from tests.objectives.naive import nearest
from tests.objectives.test_moby import layers


@torch.no_grad()
def test_mocov3_looks_for_the_other_views_key_in_the_batch():
    moco = MoCoV3(hidden_dim=6, out_dim=5)
    student, teacher = torch.randn(2, 4, 5), torch.randn(2, 4, 5)
    queries = moco.predictor(student)
    rows = [
        nearest(queries[query, b], list(teacher[key]), b, 0.2)
        for query, key in ((0, 1), (1, 0))
        for b in range(4)
    ]
    assert float(moco(student, teacher, 0.04)) == pytest.approx(2 * 0.2 * sum(rows) / 4, rel=1e-4)


def test_mocov3s_heads_are_its_authors():
    """moco-v3, moco/builder.py:36-52, 118-122: no bias, and a last norm without scale and shift."""
    moco = MoCoV3()
    hidden = [("SyncBatchNorm1d", True), ("ReLU", None)]
    last = [("Linear", 4096, 256, False), ("SyncBatchNorm1d", False)]
    assert layers(moco.build_head(384)) == [
        ("Linear", 384, 4096, False), *hidden, ("Linear", 4096, 4096, False), *hidden, *last
    ]  # fmt: skip
    assert layers(moco.predictor) == [("Linear", 256, 4096, False), *hidden, *last]
    assert moco.temperature == 0.2


def test_mocov3_draws_a_trunk_as_its_authors_do():
    """moco-v3, vits.py:32-77; each bound is sqrt(6 / (widths in and out))."""
    vit = build_trunk("vit_tiny", depth=2, class_token=True, final_norm=True)
    for name, value in vit.named_parameters():
        if name.endswith("bias") and "norm" not in name:
            torch.nn.init.ones_(value)
    MoCoV3(4, 4).prepare(vit)
    bounds = {
        "patch_embed.proj.weight": 6 / (3 * 16 * 16 + 192),
        "blocks.1.attn.qkv.weight": 6 / (192 + 192),  # queries, keys and values by themselves
        "blocks.1.attn.proj.weight": 6 / (192 + 192),
        "blocks.1.mlp.fc1.weight": 6 / (192 + 768),
        "blocks.1.mlp.fc2.weight": 6 / (768 + 192),
    }
    state = vit.state_dict()
    for name, square in bounds.items():
        assert state[name].abs().max().item() == pytest.approx(square**0.5, rel=1e-3), name
        assert state[name].std().item() == pytest.approx((square / 3) ** 0.5, rel=0.02), name
    for name, value in state.items():
        if name.endswith(".bias"):
            assert not value.any(), name
    assert state["cls_token"].std().item() == pytest.approx(1e-6, rel=0.2)
    assert not state["pos_embed"][0, 0].any()
    assert state["pos_embed"][0, 1:].equal(sine_cosine_positions(14, 14, 192))
    frozen = {name for name, p in vit.named_parameters() if not p.requires_grad}
    assert frozen == {"pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"}
    MoCoV3(4, 4, freeze_patch_embed=False).prepare(other := build_trunk("vit_tiny", depth=1))
    assert [n for n, p in other.named_parameters() if not p.requires_grad] == ["pos_embed"]


@pytest.mark.parametrize("objective", ["mocov3", "moby"])
def test_what_decays_is_what_its_authors_let_decay(objective):
    """moco-v3, main_moco.py:228-230: all; Transformer-SSL, optimizer.py: no vector, no bias."""
    model = nn.ModuleDict({"vit": build_trunk("vit_tiny", depth=1, class_token=True)})
    constructor = {"mocov3": AllDecay, "moby": DecayGroups}[objective]
    wrapper = {"type": "PretrainOptimWrapper", "optimizer": {"type": "AdamW"}, "clip_norm": 0.0}
    optimizer = constructor(wrapper)(model)
    optimizer.set_rates(0.1, 0.5)
    rate_of = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    plain = {name for name, p in model.named_parameters() if rate_of[id(p)] == 0}
    if objective == "mocov3":
        assert plain == set()
    else:
        assert plain == {n for n, p in model.named_parameters() if p.ndim == 1}
        assert "vit.pos_embed" not in plain


@torch.no_grad()
def test_only_the_first_two_views_are_compared_and_in_fp32():
    moco = MoCoV3(hidden_dim=6, out_dim=5)
    moco.predictor = nn.Identity()
    student, teacher = torch.randn(3, 4, 5), torch.randn(3, 4, 5)
    queries, keys = (nn.functional.normalize(x.double(), dim=-1) for x in (student, teacher))
    losses = [
        nn.functional.cross_entropy(queries[q] @ keys[k].T / 0.2, torch.arange(4)).item()
        for q, k in ((0, 1), (1, 0))
    ]
    with torch.autocast("cpu", torch.bfloat16):
        found = moco(student, teacher, 0.04).item()
    assert found == pytest.approx(2 * 0.2 * sum(losses), rel=1e-6)
