"""Epochs of iterations that can be left and taken up again at any iteration."""

import torch
from mmengine.dist import get_rank
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop

from selfpatch.errors import InputError


@LOOPS.register_module()
class PretrainLoop(EpochBasedTrainLoop):
    """mmengine's epoch loop, except that a resumed run goes on in the middle of an epoch.

    Every iteration seeds the generators with its own number, so that a resumed run draws the
    drop paths of an uninterrupted one.
    """

    def run(self) -> torch.nn.Module:
        """Train; refuses a data set that does not fill one step."""
        if len(self.dataloader) == 0:
            size, batch = len(self.dataloader.dataset), self.dataloader.batch_size
            raise InputError(
                f"{size} images do not fill one step of {batch} per process;"
                " lower total_batch_size or give more images"
            )
        return super().run()

    def run_epoch(self) -> None:
        """Iterate over what is left of this epoch."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        done = self._iter - self._epoch * len(self.dataloader)
        self.dataloader.sampler.start = done * self.dataloader.batch_size
        for index, batch in enumerate(self.dataloader, start=done):
            self.run_iter(index, batch)
        self.dataloader.sampler.start = 0
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: dict) -> None:
        """One step, with random numbers that depend on seed, iteration and process alone."""
        torch.manual_seed(hash((self.runner.seed, self._iter, get_rank())))
        super().run_iter(idx, data_batch)
