"""What happens around a pretraining step: its speed is logged, images that fail are named."""

import resource
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from selfpatch.errors import InputError


@HOOKS.register_module()
class Throughput(Hook):
    """Log images per second and, where there is no GPU to report on, the peak memory in MiB."""

    priority = "BELOW_NORMAL"  # after mmengine's timer, before its logger

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Divide the images of this iteration by its time."""
        hub = runner.message_hub
        seconds = hub.get_scalar("train/time").current()
        images = runner.train_dataloader.batch_size * get_world_size()
        hub.update_scalar("train/images_per_s", images / seconds)
        if not torch.cuda.is_available():
            peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            hub.update_scalar("train/memory", peak_kib / 1024)


@HOOKS.register_module()
class UnreadableImages(Hook):
    """Name each image that cannot be read, once; stop the run when there are too many.

    The data set puts the next image in the place of an unreadable one.

    Args:
        max_share: Share of the images that may be unreadable; several processes each allow their
            part of it.
    """

    def __init__(self, max_share: float = 0.01) -> None:
        self.max_share = max_share
        self.found: set[str] = set()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Note what the data set could not read for this batch."""
        lines = [line for text in data_batch["unreadable"] for line in text.splitlines()]
        for sentence in lines:
            if sentence not in self.found:
                self.found.add(sentence)
                runner.logger.warning(f"skipped image {len(self.found)}: {sentence}")
        size = len(runner.train_dataloader.dataset)
        if lines and len(self.found) > self.max_share * size / get_world_size():
            raise InputError(
                f"{len(self.found)} of {size} images cannot be read, more than"
                f" default_hooks.images.max_share={self.max_share:g}; {lines[-1]}"
            )
