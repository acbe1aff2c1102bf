"""Data set -> the order in which one process sees it."""

from collections.abc import Iterator

import torch
from mmengine.dist import get_dist_info
from torch.utils.data import Dataset, Sampler

from selfpatch.data.seeds import mixed_seed


class EpochSampler(Sampler[tuple[int, int]]):
    """A new permutation each epoch, shared out over the processes, that can begin anywhere.

    Yields ``(epoch, index)``. The last images of an epoch that do not fill an optimiser step are
    left out: whatever the number of processes and accumulated batches, a step sees the same
    images.

    Args:
        dataset: What to draw from.
        step_size: Images per optimiser step, over all processes and accumulated batches.
        seed: Seed of the permutations.
    """

    def __init__(self, dataset: Dataset, step_size: int, seed: int) -> None:
        self.size = len(dataset)  # type: ignore[arg-type]
        self.used = self.size // step_size * step_size
        self.seed = seed
        self.rank, self.world_size = get_dist_info()
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of this epoch next."""
        self.epoch = epoch

    def order(self) -> list[int]:
        """The permutation of all images in this epoch."""
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, self.epoch))
        return torch.randperm(self.size, generator=generator).tolist()

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Go through this process's share, from its ``start``-th image on."""
        share = self.order()[self.rank : self.used : self.world_size]
        return ((self.epoch, index) for index in share[self.start :])

    def __len__(self) -> int:
        return self.used // self.world_size
