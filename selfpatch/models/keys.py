"""Images -> the keys of a ViT's last attention."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from selfpatch.models.vit import VisionTransformer


def last_keys(vit: VisionTransformer, images: Tensor) -> Tensor:
    """The keys of the patches in the last block, those of all heads side by side.

    They are what the block's linear layer gives: where positions are rotary, keys before they are
    turned, which hold what a patch shows and not where it is.

    Args:
        vit: A trunk, in evaluation mode.
        images: (B, 3, H, W), normalised.

    Returns:
        (B, rows * columns, D), patches in row-major order.
    """
    tokens, rotary = vit.embed(images), vit.rotary(vit.grid(images))
    for block in vit.blocks[:-1]:
        tokens = vit.run_block(block, tokens, rotary)
    last: Any = vit.blocks[-1]
    own = slice(vit.embed_dim, 2 * vit.embed_dim)  # queries come before, values after
    bias = None if last.attn.qkv.bias is None else last.attn.qkv.bias[own]
    keys = F.linear(last.norm1(tokens), last.attn.qkv.weight[own], bias)
    return keys[:, vit.num_prefix_tokens :]
