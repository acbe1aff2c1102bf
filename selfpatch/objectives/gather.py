"""Tensors of one process -> the tensors of all."""

import torch
import torch.distributed as dist
from torch import Tensor


def is_distributed() -> bool:
    """Whether this is one of several processes."""
    return dist.is_available() and dist.is_initialized()


@torch.no_grad()
def gather(rows: Tensor) -> Tensor:
    """Rows (B, D) of each process -> rows (processes * B, D), in order of rank; no gradient."""
    if not is_distributed():
        return rows
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def rank() -> int:
    """This process's number."""
    return dist.get_rank() if is_distributed() else 0
