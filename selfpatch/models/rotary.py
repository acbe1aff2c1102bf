"""Place of a patch -> how its queries and keys are turned: DINOv3's rotary positions."""

from math import pi

import torch
from torch import Tensor


def rotary_periods(head_dim: int, base: float = 100.0) -> Tensor:
    """The periods, from 1 to nearly ``base``: (head_dim / 4,), as each axis turns half the pairs.

    Published weights hold them rounded to bfloat16, which shows in the tokens; they are weights
    here, too.
    """
    return base ** (2 * torch.arange(head_dim // 4) / (head_dim // 2))


def rotary_table(grid: tuple[int, int], periods: Tensor) -> Tensor:
    """Cosine and sine of the angles of every place: (rows * columns, 2 * head_dim), row-major.

    Places lie between -1 and 1 on either axis, whatever the size of the grid. Source:
    ``RopePositionEmbedding`` of facebookresearch/dinov3, in its published setting.

    Args:
        grid: (rows, columns).
        periods: See :func:`rotary_periods`.
    """
    on = periods.device
    along = [
        2 * ((torch.arange(side, device=on) + 0.5) / torch.scalar_tensor(side, device=on)) - 1
        for side in grid
    ]
    places = torch.stack(torch.meshgrid(*along, indexing="ij"), dim=-1).flatten(0, 1)
    angles = (2 * pi * places[:, :, None] / periods).flatten(1).repeat(1, 2)
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def turned(channels: Tensor, rotary: Tensor) -> Tensor:
    """Queries or keys (..., N, D) turned by a table (..., N, 2 * D), channel i with i + D / 2."""
    cosine, sine = rotary.chunk(2, dim=-1)
    first, second = channels.chunk(2, dim=-1)
    both = channels * cosine + torch.cat([-second, first], dim=-1) * sine
    return both.to(channels.dtype)
