"""Data set -> the order in which one process sees it."""

from collections.abc import Iterator

import torch
from mmengine.dist import get_dist_info
from mmengine.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import Dataset, Sampler

from selfpatch.data.views import MultiViewDataset

DATASETS.register_module(module=MultiViewDataset)


@DATA_SAMPLERS.register_module()
class EpochSampler(Sampler[tuple[int, int]]):
    """A new permutation each epoch, shared out over the processes, that can begin anywhere.

    Yields ``(epoch, index)``. The last images of an epoch, fewer than there are processes, are
    left out, so that all processes take the same number of steps.

    Args:
        dataset: What to draw from.
        seed: Of the permutations.
    """

    def __init__(self, dataset: Dataset, seed: int | None = None) -> None:
        self.size = len(dataset)  # type: ignore[arg-type]
        self.seed = seed or 0
        self.rank, self.world_size = get_dist_info()
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw the order of this epoch next."""
        self.epoch = epoch

    def order(self) -> list[int]:
        """The permutation of all images in this epoch."""
        generator = torch.Generator().manual_seed(hash((self.seed, self.epoch)))
        return torch.randperm(self.size, generator=generator).tolist()

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Go through this process's share, from its ``start``-th image on."""
        share = self.order()[self.rank : len(self) * self.world_size : self.world_size]
        return ((self.epoch, index) for index in share[self.start :])

    def __len__(self) -> int:
        return self.size // self.world_size
