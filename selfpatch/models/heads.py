"""Tokens -> summaries -> prototypes: the aggregation head h and the projection heads g, g'."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from timm.layers import Mlp
from torch import Tensor, nn

from selfpatch.models.attention import attend
from selfpatch.models.batch_norm import SyncBatchNorm1d
from selfpatch.models.neighbours import NO_PATCH
from selfpatch.models.vit import init_transformer_weights


class ClassAttentionBlock(nn.Module):
    """One class-attention block (CaiT), without layer scale: only the summary is updated.

    The summary attends to itself and to the tokens; the tokens stay as they are.
    """

    def __init__(self, embed_dim: int, num_heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.attn = nn.ModuleDict(
            {name: nn.Linear(embed_dim, embed_dim) for name in ("q", "k", "v", "proj")}
        )
        self.norm2 = nn.LayerNorm(embed_dim, eps=1e-6)
        self.mlp = Mlp(embed_dim, int(embed_dim * mlp_ratio))
        self.num_heads = num_heads

    def _heads(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., heads, D / heads)."""
        return x.unflatten(-1, (self.num_heads, -1))

    def keys_values(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (..., D) -> their keys and values, each (..., heads, D / heads)."""
        normed = self.norm1(tokens)
        return self._heads(self.attn["k"](normed)), self._heads(self.attn["v"](normed))

    def forward(
        self, summary: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Update each summary from the tokens it may see.

        Args:
            summary: (S, D), or (1, D) where all S are still alike.
            keys: (S, T, heads, D / heads) of the tokens that each summary sees.
            values: Like ``keys``.
            mask: bool (S, T), true where there is a token; all, if left out.

        Returns:
            (S, D).
        """
        own_key, own_value = self.keys_values(summary)
        query = self._heads(self.attn["q"](self.norm1(summary)))
        own_key, own_value, query = (
            own.unsqueeze(1).expand(len(keys), -1, -1, -1) for own in (own_key, own_value, query)
        )
        seen = [torch.cat(both, dim=1) for both in ((own_key, keys), (own_value, values))]
        if mask is not None:
            mask = F.pad(mask, (1, 0), value=True)[:, None, None]
        queries, keys, values = (part.transpose(1, 2) for part in (query, *seen))
        attended = attend(queries, keys, values, mask)
        summary = summary + self.attn["proj"](attended.flatten(1))
        return summary + self.mlp(self.norm2(summary))


MOST_SUMMARIES = 2**15
"""Summaries that attend at once: a GPU's attention takes no more than 65,535."""


class AggregationHead(nn.Module):
    """The aggregation module h (Eq. 4-5) and the LayerNorm that image and patches share.

    A learned [CLS] token, the same for image and patches, is updated by class-attention blocks.
    Tokens are never updated, so each token's keys and values are computed once and serve the
    image's summary and every patch whose positive it is.

    Args:
        embed_dim: Width D of a token.
        num_heads: Attention heads, as many as the trunk's.
        num_blocks: Class-attention blocks.
    """

    def __init__(self, embed_dim: int, num_heads: int, num_blocks: int = 2) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.cls_blocks = nn.ModuleList(
            ClassAttentionBlock(embed_dim, num_heads) for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        self.apply(init_transformer_weights)

    def _blocks(self) -> Iterator[ClassAttentionBlock]:
        return (cast(ClassAttentionBlock, block) for block in self.cls_blocks)

    def summarize_image(self, tokens: Tensor) -> Tensor:
        """Eq. 4: all tokens (B, N, D) -> the image's summary y (B, D)."""
        summary = self.cls_token[0]
        for block in self._blocks():
            summary = block(summary, *block.keys_values(tokens))
        return self.norm(summary)

    def summarize(
        self, tokens: Tensor, positives: Tensor, complete: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Eq. 4-5: tokens -> the image's summary y and the patches' summaries y^(i).

        Args:
            tokens: (B, N, D).
            positives: int64 (B, N, k), patch indices or ``NO_PATCH``.
            complete: Whether it is known that no ``NO_PATCH`` is there; faster.

        Returns:
            (B, D) and (B, N, D).
        """
        batch, num_patches, _ = tokens.shape
        offset = torch.arange(batch, device=tokens.device)[:, None, None] * num_patches
        index = (positives.clamp(min=0) + offset).flatten(0, 1).split(MOST_SUMMARIES)
        mask = (positives != NO_PATCH).flatten(0, 1).split(MOST_SUMMARIES)
        image = self.cls_token[0]
        patches = [image] * len(index)
        for block in self._blocks():
            keys, values = block.keys_values(tokens)
            image = block(image, keys, values)
            keys, values = keys.flatten(0, 1), values.flatten(0, 1)
            patches = [
                block(part, keys[seen], values[seen], None if complete else there)
                for part, seen, there in zip(patches, index, mask, strict=True)
            ]
        return self.norm(image), self.norm(torch.cat(patches)).view_as(tokens)


class PrototypeLayer(nn.Module):
    """A linear layer without bias whose rows have the norm ``weight_g`` (weight normalisation)."""

    def __init__(self, width_in: int, num_prototypes: int, fixed_norm: bool) -> None:
        super().__init__()
        weight = torch.empty(num_prototypes, width_in)
        nn.init.kaiming_uniform_(weight, a=5**0.5)
        self.weight_v = nn.Parameter(weight)
        self.weight_g = nn.Parameter(torch.ones(num_prototypes, 1), requires_grad=not fixed_norm)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width_in) -> (..., num_prototypes)."""
        prototypes, scale = factors(self.weight_v, self.weight_g)
        return products_of(x, prototypes) * scale


def factors(weight_v: Tensor, weight_g: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of a :class:`PrototypeLayer` -> the prototypes and scales of its logits.

    A scale brings each product to the norm ``weight_g``, so that no second, normalised copy of the
    prototypes is made. Autocast lowers the precision of the prototypes, not of the scales.
    """
    scale = weight_g / weight_v.norm(dim=1, keepdim=True).clamp(min=1e-12)
    device = weight_v.device.type
    if torch.is_autocast_enabled(device):
        weight_v = weight_v.to(torch.get_autocast_dtype(device))
    return weight_v, scale.squeeze(1)


def products_of(vectors: Tensor, prototypes: Tensor) -> Tensor:
    """Vectors (..., width), prototypes (K, width) -> their products (..., K), as ``prototypes``."""
    # Of more than two dimensions, matmul would copy the prototypes for each view.
    rows = vectors.to(prototypes.dtype).reshape(-1, vectors.shape[-1])
    return (rows @ prototypes.T).view(*vectors.shape[:-1], -1)


@dataclass(frozen=True)
class PrototypeLogits:
    """Logits (..., K) in their factors: all of them at once would be the largest tensor of a step.

    Attributes:
        vectors: (..., width), of norm 1.
        layer: The prototypes.
    """

    vectors: Tensor
    layer: PrototypeLayer

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, rows: slice) -> "PrototypeLogits":
        return PrototypeLogits(self.vectors[rows], self.layer)

    def whole(self) -> Tensor:
        """(..., K)."""
        return self.layer(self.vectors)


class ProjectionHead(nn.Module):
    """DINO's projection head: an MLP, an L2 norm, and prototypes of a fixed norm.

    Args:
        embed_dim: Width D of a summary or token.
        num_prototypes: Width of the output.
        hidden_dim: Width of the MLP's hidden layers.
        bottleneck_dim: Width of the normalised vector.
        num_layers: Layers of the MLP, the one to the bottleneck included.
        norm_last_layer: Keep the prototypes' norm at 1; otherwise it is learned.
    """

    def __init__(
        self,
        embed_dim: int,
        num_prototypes: int,
        hidden_dim: int = 2048,
        bottleneck_dim: int = 256,
        num_layers: int = 3,
        norm_last_layer: bool = True,
    ) -> None:
        super().__init__()
        widths = [embed_dim] + [hidden_dim] * (num_layers - 1) + [bottleneck_dim]
        layers: list[nn.Module] = []
        for width_in, width_out in pairwise(widths):
            layers += [nn.Linear(width_in, width_out), nn.GELU()]
        self.mlp = nn.Sequential(*layers[:-1])
        self.mlp.apply(init_transformer_weights)
        self.last_layer = PrototypeLayer(bottleneck_dim, num_prototypes, norm_last_layer)

    def forward(self, x: Tensor) -> PrototypeLogits:
        """(..., D) -> logits (..., num_prototypes)."""
        return PrototypeLogits(F.normalize(self.mlp(x), dim=-1), self.last_layer)


class EmbeddingHead(nn.Module):
    """The MLP with batch normalisation of MoBY and MoCo-v3, as projector or predictor.

    Batch statistics are taken over the images of one view and of all processes, as both methods
    do.

    Args:
        width_in: Width of the input.
        num_layers: Linear layers.
        hidden_dim: Width between them.
        out_dim: Width K of the output.
        bias: Give the linear layers a bias.
        last_norm: End with a batch normalisation without learned scale and shift.
    """

    def __init__(
        self,
        width_in: int,
        num_layers: int,
        hidden_dim: int,
        out_dim: int,
        bias: bool = True,
        last_norm: bool = False,
    ) -> None:
        super().__init__()
        widths = [width_in] + [hidden_dim] * (num_layers - 1) + [out_dim]
        layers: list[nn.Module] = []
        for width, width_out in pairwise(widths):
            layers += [
                nn.Linear(width, width_out, bias=bias),
                SyncBatchNorm1d(width_out),
                nn.ReLU(),
            ]
        del layers[-2:]
        if last_norm:
            layers.append(SyncBatchNorm1d(out_dim, affine=False))
        self.mlp = nn.Sequential(*layers)

    def forward(self, views: Tensor) -> Tensor:
        """(V, B, width_in) -> (V, B, out_dim)."""
        return torch.stack([self.mlp(view) for view in views])
