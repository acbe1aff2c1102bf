"""Tokens -> tokens that have read one another: attention, and a ViT's block around it."""

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import Attention
from timm.models.vision_transformer import Block
from torch import Tensor

from selfpatch.models.rotary import turned


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention, by torch's own kernel unless plain products are faster.

    They are on a CPU in low precision where gradients are wanted: the kernel's backward pass takes
    several times as long there. The products round as the kernel does its inputs.

    Args:
        queries: (..., Q, d).
        keys: (..., T, d).
        values: (..., T, d).
        mask: bool (..., Q, T), true where a query sees a token; all, if left out.

    Returns:
        (..., Q, d).
    """
    plain = queries.device.type == "cpu" and queries.dtype.itemsize < 4 and torch.is_grad_enabled()
    if not plain:
        return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    with torch.autocast("cpu", enabled=False):
        scores = queries * queries.shape[-1] ** -0.5 @ keys.transpose(-2, -1)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return scores.softmax(-1) @ values


class SelfAttention(Attention):
    """timm's attention through :func:`attend`, with or without rotary positions."""

    def forward(self, tokens: Tensor, rotary: Tensor | None = None) -> Tensor:
        """Tokens (B, N, D), and a table (N, ...) or (B, 1, N, ...) of their places -> (B, N, D)."""
        queries, keys, values = (
            self.qkv(tokens).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        )
        if rotary is not None:
            queries, keys = turned(queries, rotary), turned(keys, rotary)
        return self.proj(attend(queries, keys, values).transpose(1, 2).flatten(2))


class SelfAttentionBlock(Block):
    """timm's block around :class:`SelfAttention`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, attn_layer=SelfAttention, **kwargs)

    def forward(self, tokens: Tensor, rotary: Tensor | None = None) -> Tensor:
        """Tokens (B, N, D), and the table of their places -> (B, N, D)."""
        attended = self.attn(self.norm1(tokens), rotary)
        tokens = tokens + self.drop_path1(self.ls1(attended))
        return tokens + self.drop_path2(self.ls2(self.mlp(self.norm2(tokens))))
