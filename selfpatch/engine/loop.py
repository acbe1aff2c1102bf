"""Epochs of iterations that can be left and taken up again at any iteration."""

from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop

from selfpatch.atomic import atomic_write
from selfpatch.engine.pretrainer import NonFiniteLossError
from selfpatch.errors import InputError
from selfpatch.models.distributed import local


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
        try:
            super().run_iter(idx, data_batch)
        except NonFiniteLossError as error:
            raise self._explained(error, data_batch) from None

    def _explained(self, error: NonFiniteLossError, data_batch: dict) -> InputError:
        """Save all that the step was computed from, and say where the run stopped.

        The loss is found out before the backward pass: the weights are those that gave it.
        """
        path = Path(self.runner.work_dir, f"non_finite_iter_{self._iter}_rank_{get_rank()}.pth")
        weights = {name: local(w) for name, w in self.runner.model.state_dict().items()}
        content = {"losses": error.losses, "state_dict": weights, **data_batch}
        with atomic_write(path) as file:
            torch.save(content, file)
        images = data_batch["path"]
        named = ", ".join(images[:3]) + f" and {len(images) - 3} more" * (len(images) > 3)
        return InputError(
            f"{error} at iteration {self._iter} of epoch {self._epoch + 1} on {named};"
            f" views, paths and weights are in {path}; lower the learning rate"
            " (default_hooks.schedules.lr) or compute in fp32 (optim_wrapper.precision)"
        )
