"""Image -> what a patch attends to."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from selfpatch.models.rotary import turned
from selfpatch.models.vit import VisionTransformer

Patch = tuple[int, int]
"""Row and column of a place on a grid."""


@torch.no_grad()
def attention(vit: VisionTransformer, images: Tensor) -> Tensor:
    """Self-attention of the last block.

    Args:
        vit: A trunk, in evaluation mode.
        images: (B, 3, H, W), normalised.

    Returns:
        (B, heads, T, T): row i holds the weights with which token i reads all tokens. Its sum is 1.
    """
    tokens, rotary = vit.embed(images), vit.rotary(vit.grid(images))
    for block in vit.blocks[:-1]:
        tokens = vit.run_block(block, tokens, rotary)
    last: Any = vit.blocks[-1]
    batch, count, _ = tokens.shape
    qkv = last.attn.qkv(last.norm1(tokens)).reshape(batch, count, 3, last.attn.num_heads, -1)
    queries, keys = qkv[:, :, 0].transpose(1, 2), qkv[:, :, 1].transpose(1, 2)
    if rotary is not None:
        queries, keys = turned(queries, rotary), turned(keys, rotary)
    scores = queries @ keys.transpose(-2, -1) / queries.shape[-1] ** 0.5
    return scores.softmax(dim=-1)


def patch_attention(vit: VisionTransformer, image: Tensor, patches: Sequence[Patch]) -> Tensor:
    """How much some patches attend to every patch, averaged over heads, as in the paper's Fig. 1.

    Args:
        vit: A trunk, in evaluation mode.
        image: (3, H, W), normalised.
        patches: The asking patches.

    Returns:
        (asking patches, rows, columns); the sum of each map is 1 for a trunk without [CLS] and
        registers, and less by what those get.
    """
    rows, columns = vit.grid(image)
    prefix = vit.num_prefix_tokens
    asking = [prefix + row * columns + column for row, column in patches]
    weights = attention(vit, image[None])[0, :, asking, prefix:].mean(dim=0)
    return weights.unflatten(1, (rows, columns))


def top_share(values: Tensor, share: float = 0.1) -> Tensor:
    """The highest ``share`` of a map, at least one place: a boolean map of the same shape."""
    count = max(1, round(share * values.numel()))
    chosen = torch.zeros(values.numel(), dtype=torch.bool)
    chosen[values.flatten().topk(count).indices] = True
    return chosen.reshape(values.shape)
