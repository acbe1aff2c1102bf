"""Attention against a plain computation."""

from typing import Any

import pytest
import torch

from selfpatch.models.vit import VisionTransformer
from selfpatch.visualize.attention import attention, patch_attention, top_share


@pytest.fixture(
    params=[(False, 0), (True, 0), (True, 2)], ids=["patches alone", "[CLS]", "[CLS] and registers"]
)
def vit(request) -> VisionTransformer:
    class_token, num_registers = request.param
    return VisionTransformer(
        embed_dim=24, depth=3, num_heads=3, patch_size=8, image_size=32,
        class_token=class_token, num_registers=num_registers,
    ).eval()  # fmt: skip


def naive_attention(vit: VisionTransformer, images: torch.Tensor) -> torch.Tensor:
    """Head by head, query by query, from the weights."""
    tokens = vit.embed(images)
    for block in vit.blocks[:-1]:
        tokens = block(tokens)
    last: Any = vit.blocks[-1]
    weight, bias = last.attn.qkv.weight, last.attn.qkv.bias
    width, heads = vit.embed_dim, last.attn.num_heads
    dim = width // heads
    answer = []
    for sample in last.norm1(tokens):
        per_head = []
        for head in range(heads):
            q = slice(head * dim, (head + 1) * dim)
            k = slice(width + head * dim, width + (head + 1) * dim)
            queries = [token @ weight[q].T + bias[q] for token in sample]
            keys = [token @ weight[k].T + bias[k] for token in sample]
            rows = []
            for query in queries:
                scores = torch.stack([torch.dot(query, key) / dim**0.5 for key in keys])
                rows.append(torch.exp(scores) / torch.exp(scores).sum())
            per_head.append(torch.stack(rows))
        answer.append(torch.stack(per_head))
    return torch.stack(answer)


def test_attention_rows_sum_to_one(vit):
    weights = attention(vit, torch.randn(2, 3, 24, 40))
    assert weights.shape == (2, 3, 15 + vit.num_prefix_tokens, 15 + vit.num_prefix_tokens)
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))


def test_attention_equals_a_plain_computation(vit):
    for parameter in vit.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    images = torch.randn(2, 3, 16, 24)
    torch.testing.assert_close(attention(vit, images), naive_attention(vit, images))


def test_attention_is_what_the_trunk_itself_computes(vit):
    images = torch.randn(1, 3, 32, 32)
    last, tokens = vit.blocks[-1], vit.embed(images)
    for block in vit.blocks[:-1]:
        tokens = block(tokens)
    values = last.attn.qkv(last.norm1(tokens)).unflatten(-1, (3, 3, 8))[:, :, 2].transpose(1, 2)
    read = (attention(vit, images) @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(last.attn.proj(read), last.attn(last.norm1(tokens)))


def test_patch_attention_is_the_rows_of_those_patches(vit):
    image = torch.randn(3, 24, 40)
    prefix = vit.num_prefix_tokens
    found = patch_attention(vit, image, [(1, 3), (0, 0)])
    mean = attention(vit, image[None])[0].mean(0)
    assert found.shape == (2, 3, 5)
    torch.testing.assert_close(found[0].flatten(), mean[prefix + 1 * 5 + 3, prefix:])
    torch.testing.assert_close(found[1].flatten(), mean[prefix, prefix:])


def test_top_share_keeps_the_tenth_with_the_highest_values():
    values = torch.arange(100.0).reshape(10, 10)
    assert torch.equal(top_share(values), values >= 90)
    assert top_share(torch.tensor([[1.0, 2.0]])).tolist() == [[False, True]]
