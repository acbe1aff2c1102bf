"""Summaries and heads, against plain loops and laws."""

import math

import pytest
import torch

from selfpatch.models.heads import AggregationHead, EmbeddingHead
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


def test_embedding_head_normalises_each_view_by_its_own_statistics():
    head = EmbeddingHead(4, num_layers=2, hidden_dim=8, out_dim=3, last_norm=True)
    out = head(torch.stack([torch.randn(16, 4), 5 + 3 * torch.randn(16, 4)]))
    torch.testing.assert_close(out.mean(1), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(1, unbiased=False), torch.ones(2, 3), atol=1e-2, rtol=0)
