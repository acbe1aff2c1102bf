"""Tensors of one process -> the tensors of all; plain functions where there is one process."""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.nn.functional import all_reduce
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


def is_distributed() -> bool:
    """Whether this is one of several processes."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """This process's number."""
    return dist.get_rank() if is_distributed() else 0


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if is_distributed() else 1


def own_share(things: Sequence[T]) -> Sequence[T]:
    """Those of the things that this process looks after; every thing has one that does."""
    return things[rank() :: world_size()]


@torch.no_grad()
def gather(rows: Tensor) -> Tensor:
    """Rows (B, D) of each process -> rows (processes * B, D); no gradient.

    Row i of process r becomes row i * processes + r: the order in which one process would have
    seen the images, see :class:`selfpatch.engine.sampling.EpochSampler`.
    """
    if not is_distributed():
        return rows
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)


def local(tensor: Tensor) -> Tensor:
    """This process's part of a sharded tensor, as a view; another tensor as it is."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum of each process's ``values``; gradients flow back to all of them."""
    if not is_distributed():
        return values
    if values.requires_grad:
        summed: Tensor = all_reduce(values)
        return summed
    total = values.clone()
    dist.all_reduce(total)
    return total


def mean_over_processes(values: Tensor) -> Tensor:
    """Their mean, likewise."""
    return sum_over_processes(values) / world_size()


def unwrapped(model: nn.Module) -> Any:
    """The model itself, out of what may spread it over processes."""
    wrappers = (DistributedDataParallel, FullyShardedDataParallel)
    return model.module if isinstance(model, wrappers) else model
