"""Config -> the model in its processes, and the loader of its images."""

import logging
import os
from functools import partial
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import get_world_size, is_main_process
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import Runner
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

from selfpatch.data.allocation import keep_freed_memory, start_worker
from selfpatch.data.views import MultiViewDataset
from selfpatch.engine.pretrainer import Pretrainer
from selfpatch.engine.sampling import EpochSampler
from selfpatch.engine.sharding import shard
from selfpatch.engine.summary import images_per_batch, summary
from selfpatch.errors import InputError
from selfpatch.models.distributed import unwrapped


class PretrainRunner(Runner):
    """A Runner that also trains in parallel on CPUs, and shards the model if the config says so."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """A logger that tells its file of the config, the environment and the hooks alone."""
        logger = super().build_logger(*args, **kwargs)
        set_console(logger, logging.WARNING)
        return logger

    def train(self) -> nn.Module:
        """Say what will be trained, and train."""
        self.recomputed()  # refused before anything is printed
        if is_main_process():
            print(summary(self.cfg, self.train_dataloader.dataset))
            print(f"log       {self.log_dir}/{self.timestamp}.log\n", flush=True)
        set_console(self.logger, logging.INFO)
        if not torch.cuda.is_available():
            keep_freed_memory(2**31 - 1)  # a step takes what the last one has freed
        return super().train()

    def build_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader:
        """The one loader of a pretraining run."""
        return image_loader(self.cfg, self.seed)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: Pretrainer) -> nn.Module:
        """Prepare the model for the processes of the run."""
        model = model.to(get_device())
        if not self.distributed:
            return model
        if self.cfg.sharded:
            return shard(model)
        on_gpu = torch.cuda.is_available()
        device_ids = [int(os.environ["LOCAL_RANK"])] if on_gpu else None
        return MMDistributedDataParallel(
            module=model, device_ids=device_ids, broadcast_buffers=False
        )

    def load_or_resume(self) -> None:
        """Load what the run goes on from; and recompute modules in the backward pass another way.

        mmengine has just wrapped those that the config's ``activation_checkpointing`` names, in a
        way that gives no gradient to a module whose inputs need none, such as the first block
        behind a frozen patch projection.
        """
        for module in self.recomputed():
            del module.forward  # mmengine's
            module.forward = partial(checkpoint, module.forward, use_reentrant=False)
        super().load_or_resume()

    def recomputed(self) -> list[nn.Module]:
        """The modules that the config's ``activation_checkpointing`` names.

        Raises:
            InputError: There is no such module.
        """
        named = self.cfg.get("activation_checkpointing") or []
        names = [named] if isinstance(named, str | bool) else named
        known = dict(unwrapped(self.model).named_modules())
        for name in names:
            if name not in known:
                raise InputError(
                    f"activation_checkpointing names {name!r}, which the model does not have; name"
                    " modules such as student.trunk.blocks.0"
                )
        return [known[name] for name in names]

    def _maybe_compile(self, target: str) -> None:
        """Compile the trunks, if the config's ``compile`` says so; mmengine compiles a whole step,
        whose losses are made in chunks.
        """
        options = self.cfg.get("compile") or None
        if options is not None:
            model = unwrapped(self.model)
            for network in (model.student, model.teacher):
                network.trunk.compile(**({} if options is True else options))

    def _init_model_weights(self) -> None:
        """Nothing: the model's constructor drew the same weights in every process."""


def set_console(logger: MMLogger, level: int) -> None:
    """Let the terminal have messages of this level on."""
    for handler in logger.handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.setLevel(level)


def image_loader(cfg: Config, seed: int) -> DataLoader:
    """The views of ``total_batch_size`` images per step, shared out over the processes.

    Raises:
        InputError: The images of a step cannot be shared out evenly.
    """
    loading = cfg.train_dataloader
    dataset = MultiViewDataset(
        loading.folder,
        cfg.views,
        seed,
        loading.get("max_images"),
        loading.get("photometric_in_workers", False),
    )
    return DataLoader(
        dataset,
        batch_size=images_per_batch(cfg, get_world_size()),
        sampler=EpochSampler(dataset, cfg.total_batch_size, seed),
        num_workers=loading.num_workers,
        persistent_workers=loading.num_workers > 0,
        pin_memory=loading.pin_memory,
        drop_last=True,
        worker_init_fn=start_worker,
    )
