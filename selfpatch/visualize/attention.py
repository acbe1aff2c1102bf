"""Image -> what a patch attends to, what it resembles."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from selfpatch.models.vit import VisionTransformer


@torch.no_grad()
def attention(vit: VisionTransformer, images: Tensor) -> Tensor:
    """Self-attention of the last block.

    Args:
        vit: A trunk, in evaluation mode.
        images: (B, 3, H, W), normalised.

    Returns:
        (B, heads, T, T): row i holds the weights with which token i reads all tokens. Its sum is 1.
    """
    tokens = vit.embed(images)
    for block in vit.blocks[:-1]:
        tokens = block(tokens)
    last: Any = vit.blocks[-1]
    batch, count, _ = tokens.shape
    qkv = last.attn.qkv(last.norm1(tokens)).reshape(batch, count, 3, last.attn.num_heads, -1)
    queries, keys = qkv[:, :, 0].transpose(1, 2), qkv[:, :, 1].transpose(1, 2)
    scores = queries @ keys.transpose(-2, -1) / queries.shape[-1] ** 0.5
    return scores.softmax(dim=-1)


def patch_attention(vit: VisionTransformer, image: Tensor, patch: tuple[int, int]) -> Tensor:
    """How much one patch attends to every patch, averaged over heads, as in the paper's Fig. 1.

    Args:
        vit: A trunk, in evaluation mode.
        image: (3, H, W), normalised.
        patch: Row and column of the asking patch.

    Returns:
        (rows, columns); the sum is 1 for a trunk without [CLS], and less by what [CLS] gets.
    """
    rows, columns = vit.grid(image)
    weights = attention(vit, image[None])[0].mean(dim=0)
    prefix = vit.num_prefix_tokens
    asking = prefix + patch[0] * columns + patch[1]
    return weights[asking, prefix:].reshape(rows, columns)


@torch.no_grad()
def patch_similarity(vit: VisionTransformer, image: Tensor, patch: tuple[int, int]) -> Tensor:
    """Cosine similarity of one patch's last token to every patch's: (rows, columns) in [-1, 1]."""
    rows, columns = vit.grid(image)
    tokens = F.normalize(vit(image[None])[0, vit.num_prefix_tokens :], dim=-1)
    return (tokens @ tokens[patch[0] * columns + patch[1]]).reshape(rows, columns)


def top_share(values: Tensor, share: float = 0.1) -> Tensor:
    """The highest ``share`` of a map, at least one place: a boolean map of the same shape."""
    count = max(1, round(share * values.numel()))
    chosen = torch.zeros(values.numel(), dtype=torch.bool)
    chosen[values.flatten().topk(count).indices] = True
    return chosen.reshape(values.shape)
