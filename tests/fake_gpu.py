"""A GPU that computes nothing: a tensor that was left on the CPU raises, and so does a wait."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from selfpatch.data.photometric import middles, stretched
from selfpatch.models.neighbours import neighbour_index

KEPT = (neighbour_index, stretched, middles)
"""What functions keep on a device once it is made."""


@contextmanager
def fake_gpu() -> Iterator[None]:
    """Tensors that are made in here have a device, a shape and a type, and no values.

    A backward pass would ask for a real GPU.
    """
    for kept in KEPT:
        kept.cache_clear()
    with FakeTensorMode():
        yield
    for kept in KEPT:
        kept.cache_clear()


def on_gpu(module: nn.Module) -> nn.Module:
    """Move a module there, in place."""
    return module._apply(lambda t: torch.empty(t.shape, dtype=t.dtype, device="cuda"))


def images(*shape: int) -> Tensor:
    """Images there."""
    return torch.randn(*shape, device="cuda")
