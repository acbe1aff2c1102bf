"""A step, from its views to the updated weights; epochs that can be taken up at any step."""

import math
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor
from torch.utils.data import DataLoader

from selfpatch.atomic import atomic_write
from selfpatch.data.draws import single_views
from selfpatch.data.seeds import mixed_seed
from selfpatch.engine.preprocessor import with_views
from selfpatch.engine.schedules import Schedule
from selfpatch.errors import InputError
from selfpatch.models.distributed import local, unwrapped


@LOOPS.register_module()
class PretrainLoop(EpochBasedTrainLoop):
    """mmengine's epoch loop, with a step of its own, that goes on in the middle of an epoch.

    Args:
        runner: The runner.
        dataloader: The data loader, or its config.
        max_epochs: Epochs to train.
        schedule: The recipe's values of :class:`selfpatch.engine.schedules.Schedule`.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        schedule: dict[str, Any],
    ) -> None:
        super().__init__(runner, dataloader, max_epochs)
        num_images = self.dataloader.batch_size * get_world_size()
        view_sizes = [view.size for view in single_views(runner.cfg.views)]
        unwrapped(runner.model).objective.check(view_sizes, num_images)
        accumulated = runner.cfg.optim_wrapper.get("accumulative_counts", 1)
        steps_per_epoch = len(self.dataloader) // accumulated  # whole ones, see EpochSampler
        self.schedule = Schedule(
            num_steps=max_epochs * steps_per_epoch,
            steps_per_epoch=steps_per_epoch,
            images_per_step=num_images * accumulated,
            **schedule,
        )

    def run(self) -> torch.nn.Module:
        """Train; refuses a data set that does not fill one step."""
        if len(self.dataloader) == 0:
            raise InputError(
                f"{len(self.dataloader.dataset)} images do not fill one step of"
                f" {self.runner.cfg.total_batch_size}; lower total_batch_size or give more images"
            )
        return super().run()

    def run_epoch(self) -> None:
        """Iterate over what is left of this epoch."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        done = self._iter - self._epoch * len(self.dataloader)
        self.dataloader.sampler.start = done * self.dataloader.batch_size
        batches = with_views(self.dataloader, unwrapped(self.runner.model).data_preprocessor)
        for index, batch in enumerate(batches, start=done):
            self.run_iter(index, batch)
        self.dataloader.sampler.start = 0
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: dict[str, Any]) -> None:
        """One batch; and the step that it completes, unless more batches are accumulated for it.

        The same lines serve one process, several (``runner.model`` averages their gradients),
        sharded weights and low precision. Random numbers depend on seed, iteration and process
        alone, so that a resumed run draws the drop paths of an uninterrupted one.
        """
        runner, optimizer = self.runner, self.runner.optim_wrapper
        model = unwrapped(runner.model)
        settings = self.schedule(self._iter // optimizer.accumulative_counts)
        optimizer.set_rates(settings.lr, settings.weight_decay)
        runner.call_hook("before_train_iter", batch_idx=idx, data_batch=data_batch)
        torch.manual_seed(mixed_seed(runner.seed, self._iter, get_rank()))

        with optimizer.optim_context(runner.model):  # autocast
            losses, teacher_logits = runner.model(data_batch["views"], settings.teacher_temp)
        if not losses["loss"].isfinite():
            raise self.dumped(losses, data_batch)
        model.update(teacher_logits)
        del (
            teacher_logits
        )  # as large as the student's logits, and the backward pass does not need it

        optimizer.backward(optimizer.scale_loss(losses["loss"]))
        if optimizer.should_update():
            optimizer.clip_gradients()
            if settings.last_layer_frozen:
                optimizer.drop_last_layer_gradients()
            optimizer.step()
            optimizer.zero_grad()
            model.move_centers()
            model.move_teacher(settings.momentum)

        outputs = {name: loss.detach() for name, loss in losses.items()}
        runner.call_hook("after_train_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs)
        self._iter += 1

    def dumped(self, losses: dict[str, Tensor], data_batch: dict[str, Any]) -> InputError:
        """Save all that a loss that is not finite was computed from, and say where the run stopped.

        The backward pass has not begun: the weights are those that gave it.
        """
        values = {name: loss.item() for name, loss in losses.items()}
        terms = {n: v for n, v in values.items() if n != "loss" and not math.isfinite(v)}
        what = " and ".join(f"{name} is {value}" for name, value in (terms or values).items())
        path = Path(self.runner.work_dir, f"non_finite_iter_{self._iter}_rank_{get_rank()}.pth")
        weights = {name: local(w) for name, w in unwrapped(self.runner.model).state_dict().items()}
        content = {
            "losses": values,
            "state_dict": weights,
            "views": data_batch["views"],
            "path": data_batch["path"],
        }
        with atomic_write(path) as file:
            torch.save(content, file)
        images = data_batch["path"]
        named = ", ".join(images[:3]) + f" and {len(images) - 3} more" * (len(images) > 3)
        return InputError(
            f"{what} at iteration {self._iter} of epoch {self._epoch + 1} on {named};"
            f" views, paths and weights are in {path}; lower the learning rate"
            " (train_cfg.schedule.lr) or compute in fp32 (optim_wrapper.precision)"
        )
