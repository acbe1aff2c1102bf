"""Images -> what stands for each of them, in one tensor."""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm  # type: ignore[import-untyped]

from selfpatch.errors import InputError
from selfpatch.models.distributed import is_distributed, own_share, rank, world_size
from selfpatch.probes.memory import available_memory

EXCHANGED = 2**14
"""Images whose vectors processes exchange at once."""


@torch.no_grad()
def vectors_of(
    images: Dataset[tuple[Tensor, int]],
    vectors: Callable[[Tensor], Tensor],
    batch: int = 64,
    workers: int = 0,
    name: str = "",
    keep: str | None = None,
    together: bool = False,
) -> tuple[Tensor, Tensor]:
    """What stands for each image, and its number.

    Args:
        images: M images, each with a number such as its class; all of one shape, or one at a time.
        vectors: uint8 images (B, ...) -> (B, ...), for each of them.
        batch: Images at once.
        workers: Processes that read images.
        name: Of the bar that a terminal gets; none, if empty.
        keep: The device on which they are kept; where ``vectors`` leaves them, if left out.
        together: Whether all processes call this, share the images, and each get all vectors.

    Returns:
        (M, ...) and int64 (M,).

    Raises:
        InputError: They do not fit into the memory, or some process would have no image.
    """
    total = len(images)  # type: ignore[arg-type]
    if together and world_size() > total:
        raise InputError(f"{world_size()} processes cannot share {total} images; start fewer")
    own = own_share(range(total)) if together else range(total)
    loader: DataLoader[Any] = DataLoader(images, batch, sampler=own, num_workers=workers)
    quiet = None if name and rank() == 0 else True
    everything = numbers = torch.empty(0)
    device, left = torch.device("cpu"), torch.tensor(own)
    for these, of in tqdm(loader, name, unit="batch", disable=quiet):
        found = vectors(these)
        if not len(everything):  # made at once: to join parts needs their memory once more
            device, kept = found.device, torch.device(keep or found.device)
            check_memory(total, found, kept)
            everything = torch.zeros((total, *found.shape[1:]), dtype=found.dtype, device=kept)
            numbers = torch.zeros(total, dtype=torch.int64, device=kept)
        at, left = left[: len(found)].to(everything.device), left[len(found) :]
        everything[at], numbers[at] = found.to(everything.device), of.to(everything.device)
    if together and is_distributed():
        for rows in (*everything.split(EXCHANGED), *numbers.split(EXCHANGED)):
            moved = rows.to(device)
            dist.all_reduce(moved)  # the other processes' are 0, so that the sums are exact
            rows.copy_(moved)
    return everything, numbers


def check_memory(total: int, first: Tensor, device: torch.device) -> None:
    """Refuse so many images that their vectors, such as the ``first`` ones, need too much.

    A GPU says that itself, and what its allocator has in reserve is not known from outside.
    """
    if device.type != "cpu":
        return
    needed, free = total * first[0].nbytes, available_memory("cpu")
    if needed > free:
        raise InputError(
            f"what stands for {total:,} images takes {needed / 2**30:.1f} GiB, and"
            f" {free / 2**30:.1f} GiB are left; give fewer images, or fewer crops of each"
        )
