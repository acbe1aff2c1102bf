"""Attention against a plain computation; drawings against their laws."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from selfpatch.models.vit import VisionTransformer
from selfpatch.visualize.attention import attention, patch_attention, patch_similarity, top_share
from selfpatch.visualize.pictures import (
    distinct_colors,
    draw_instances,
    heat,
    highlight,
    paint_classes,
    paint_mask,
    strip,
    to_input,
    video_strip,
)


@pytest.fixture(params=[False, True], ids=["without [CLS]", "with [CLS]"])
def vit(request) -> VisionTransformer:
    return VisionTransformer(
        embed_dim=24, depth=3, num_heads=3, patch_size=8, image_size=32, class_token=request.param
    ).eval()


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


def test_patch_attention_is_the_row_of_that_patch(vit):
    image = torch.randn(3, 24, 40)
    prefix = vit.num_prefix_tokens
    expected = attention(vit, image[None])[0].mean(0)[prefix + 1 * 5 + 3, prefix:]
    torch.testing.assert_close(patch_attention(vit, image, (1, 3)).flatten(), expected)


def test_a_patch_resembles_itself_most(vit):
    similarity = patch_similarity(vit, torch.randn(3, 24, 40), (2, 4))
    assert similarity.shape == (3, 5)
    assert similarity[2, 4].item() == pytest.approx(1.0, abs=1e-5)
    assert similarity.max().item() <= 1 + 1e-5


def test_top_share_keeps_the_tenth_with_the_highest_values():
    values = torch.arange(100.0).reshape(10, 10)
    assert torch.equal(top_share(values), values >= 90)
    assert top_share(torch.tensor([[1.0, 2.0]])).tolist() == [[False, True]]


PICTURE = Image.fromarray(np.full((40, 60, 3), 100, np.uint8))


def test_drawings_keep_the_size_of_the_image():
    assert heat(PICTURE, torch.rand(4, 6), (1, 2)).size == (60, 40)
    assert heat(PICTURE, torch.ones(4, 6)).size == (60, 40)
    assert highlight(PICTURE, torch.rand(4, 6) > 0.5, (0, 0)).size == (60, 40)
    drawn = draw_instances(PICTURE, [[50, 2, 30, 20]], ["a label"], [np.ones((40, 60))])
    assert drawn.size == (60, 40)


def test_highlight_leaves_the_chosen_places_as_they_are():
    chosen = torch.zeros(4, 6, dtype=torch.bool)
    chosen[0, 0] = True
    drawn = np.asarray(highlight(PICTURE, chosen))
    assert (drawn[:10, :10] == 100).all()
    assert (drawn[10:, 10:] < 60).all()


def test_paint_mask_touches_only_the_mask():
    mask = np.zeros((40, 60), bool)
    mask[5, 7] = True
    drawn = np.asarray(paint_mask(PICTURE, mask, (200, 0, 0), 0.5))
    assert drawn[5, 7].tolist() == [150, 50, 50]
    assert (np.delete(drawn.reshape(-1, 3), 5 * 60 + 7, axis=0) == 100).all()


def test_a_class_without_a_colour_is_not_painted():
    classes = np.full((40, 60), 255, np.uint8)
    classes[0, 0] = 3
    drawn = np.asarray(paint_classes(PICTURE, classes, {3: (200, 0, 0)}, share=1.0))
    assert drawn[0, 0].tolist() == [200, 0, 0]
    assert (drawn[1:] == 100).all()


def test_a_hundred_colours_are_all_different():
    assert len(set(distinct_colors(100))) == 100


def test_a_strip_sets_images_side_by_side():
    assert strip([PICTURE, PICTURE], height=20, gap=4).size == (64, 20)
    masks = [np.zeros((40, 60), np.uint8), np.full((40, 60), 2, np.uint8)]
    assert video_strip([PICTURE, PICTURE], masks, height=40).size == (124, 40)


def test_input_has_whole_patches_and_imagenets_normalisation():
    scaled, tensor = to_input(Image.new("RGB", (100, 50), (124, 116, 104)), 16, 96)
    assert scaled.size == (96, 48)
    assert tensor.shape == (3, 48, 96)
    assert tensor.abs().max() < 0.02
