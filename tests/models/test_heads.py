"""Summaries and heads, against plain loops and laws."""

import math

import pytest
import torch

from selfpatch.models import heads
from selfpatch.models.heads import AggregationHead, EmbeddingHead, ProjectionHead
from selfpatch.models.neighbours import NO_PATCH, match_positives, neighbour_index


def naive_summary(head, tokens):
    """Eq. 4 for one set of tokens (n, D): class attention, head by head."""
    summary = head.cls_token[0, 0]
    for block in head.cls_blocks:
        both = block.norm1(torch.cat([summary[None], tokens]))
        query, keys, values = block.attn["q"](both[0]), block.attn["k"](both), block.attn["v"](both)
        width = len(query) // block.num_heads
        outputs = []
        for start in range(0, len(query), width):
            part = slice(start, start + width)
            scores = keys[:, part] @ query[part] / math.sqrt(width)
            outputs.append(scores.softmax(0) @ values[:, part])
        summary = summary + block.attn["proj"](torch.cat(outputs))
        summary = summary + block.mlp(block.norm2(summary))
    return head.norm(summary)


@pytest.mark.parametrize("border", ["wrap", "clip"])
def test_summaries_equal_an_attention_over_each_patch_in_a_loop(border):
    head = AggregationHead(embed_dim=12, num_heads=3).double()
    tokens = torch.randn(2, 12, 12, dtype=torch.float64)
    positives = match_positives(tokens, neighbour_index(3, 4, border=border), k=4)
    image, patches = head.summarize(tokens, positives)
    for b in range(2):
        torch.testing.assert_close(image[b], naive_summary(head, tokens[b]))
        for i in range(12):
            chosen = [j for j in positives[b, i].tolist() if j != NO_PATCH]
            torch.testing.assert_close(patches[b, i], naive_summary(head, tokens[b, chosen]))


def test_summaries_made_in_parts_or_without_a_mask_are_the_same(monkeypatch):
    head = AggregationHead(embed_dim=12, num_heads=3).double()
    tokens = torch.randn(2, 12, 12, dtype=torch.float64)
    positives = match_positives(tokens, neighbour_index(3, 4), k=4)
    whole = head.summarize(tokens, positives)
    torch.testing.assert_close(head.summarize(tokens, positives, complete=True), whole)
    monkeypatch.setattr(heads, "MOST_SUMMARIES", 7)
    torch.testing.assert_close(head.summarize(tokens, positives), whole)


def test_embedding_head_normalises_each_view_by_its_own_statistics():
    head = EmbeddingHead(4, num_layers=2, hidden_dim=8, out_dim=3, last_norm=True)
    out = head(torch.stack([torch.randn(16, 4), 5 + 3 * torch.randn(16, 4)]))
    torch.testing.assert_close(out.mean(1), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(1, unbiased=False), torch.ones(2, 3), atol=1e-2, rtol=0)


def test_the_aggregation_head_is_the_references():
    """alinlab/SelfPatch, selfpatch_vision_transformer.py:362-387."""
    head = AggregationHead(embed_dim=256, num_heads=4)
    assert len(head.cls_blocks) == 2
    assert head.cls_token.shape == (1, 1, 256)
    for block in head.cls_blocks:
        assert block.mlp.fc1.weight.shape == (4 * 256, 256)
        assert (block.num_heads, block.norm1.eps, block.norm2.eps) == (4, 1e-6, 1e-6)
        assert all(linear.bias is not None for linear in block.attn.values())
    assert head.norm.eps == 1e-6
    for name, value in head.named_parameters():
        if name.endswith("bias"):
            assert not value.any(), name
        elif "norm" in name:
            assert (value == 1).all(), name
        else:
            assert value.std().item() == pytest.approx(0.02, rel=0.2), name


def test_dinos_projection_head_is_its_authors():
    """facebookresearch/dino, vision_transformer.py:259-291."""
    head = ProjectionHead(embed_dim=96, num_prototypes=48)
    linear = [layer for layer in head.mlp if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [
        (96, 2048), (2048, 2048), (2048, 256)
    ]  # fmt: skip
    assert [type(layer).__name__ for layer in head.mlp] == ["Linear", "GELU"] * 2 + ["Linear"]
    for layer in linear:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.any()
    last = head.last_layer
    assert last.weight_v.shape == (48, 256)
    assert last.weight_v.abs().max().item() == pytest.approx(256**-0.5, rel=0.01)
    assert (last.weight_g == 1).all()
    assert not last.weight_g.requires_grad
    assert ProjectionHead(8, 4, norm_last_layer=False).last_layer.weight_g.requires_grad


def test_prototypes_have_the_norm_that_they_learn():
    head = ProjectionHead(8, 4, hidden_dim=6, bottleneck_dim=5, norm_last_layer=False)
    torch.nn.init.uniform_(head.last_layer.weight_g, 0.5, 2.0)
    x = torch.randn(3, 8)
    vector = torch.nn.functional.normalize(head.mlp(x), dim=-1)
    rows = head.last_layer.weight_v
    weight = head.last_layer.weight_g * rows / rows.norm(dim=1, keepdim=True)
    torch.testing.assert_close(head(x).whole(), vector @ weight.T)
