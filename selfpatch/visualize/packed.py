"""A map of tokens -> a few bytes per token, from which a page computes their similarities."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST_ERROR = 0.02
"""What a cosine may be off by."""


@dataclass(frozen=True)
class Packed:
    """Tokens whose dot products are, but for a small error, the cosines of the tokens.

    Attributes:
        grid: Rows and columns.
        codes: int8 (rows * columns, K).
        scale: float32 (K,): a token is ``codes * scale``.
        error: The largest difference of a dot product from the exact cosine.
    """

    grid: tuple[int, int]
    codes: np.ndarray
    scale: np.ndarray
    error: float


def pack(tokens: Tensor, largest_error: float = LARGEST_ERROR) -> Packed:
    """Keep as few directions of the tokens as the error allows, one byte each.

    The directions are the eigenvectors of the second moment of the tokens at unit length: no other
    K directions keep all dot products better.

    Args:
        tokens: (rows, columns, D).
        largest_error: What a cosine may be off by; where 8 bits cannot do that, all directions are
            kept.
    """
    rows, columns, _ = tokens.shape
    units = F.normalize(tokens.double(), dim=-1).flatten(0, 1)
    exact = units @ units.T
    _, vectors = torch.linalg.eigh(units.T @ units)
    turned = units @ vectors.flip(1)
    kept = 8
    while True:
        kept = min(2 * kept, turned.shape[1])
        codes, scale = quantized(turned[:, :kept])
        error = float((codes * scale @ (codes * scale).T - exact).abs().max())
        if error <= largest_error or kept == turned.shape[1]:
            return Packed(
                (rows, columns),
                codes.numpy().astype(np.int8),
                scale.numpy().astype(np.float32),
                error,
            )


def quantized(values: Tensor) -> tuple[Tensor, Tensor]:
    """Values (N, K) -> whole numbers from -127 to 127, and the step (K,) of each column."""
    step = (values.abs().amax(dim=0) / 127).clamp(min=1e-12).float().double()
    return (values / step).round().clamp(-127, 127), step
