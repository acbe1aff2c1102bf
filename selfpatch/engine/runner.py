"""mmengine's Runner, on GPUs or CPUs, with whole models or sharded ones."""

import os

import torch
from mmengine.device import get_device
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import Runner
from torch import nn

from selfpatch.engine.pretrainer import Pretrainer
from selfpatch.engine.sharding import shard


class PretrainRunner(Runner):
    """A Runner that also trains in parallel on CPUs, and shards the model if the config says so."""

    def wrap_model(self, model_wrapper_cfg: dict | None, model: Pretrainer) -> nn.Module:
        """Prepare the model for the processes of the run."""
        model = model.to(get_device())
        if not self.distributed:
            return model
        if self.cfg.get("sharded", False):
            return shard(model)
        on_gpu = torch.cuda.is_available()
        device_ids = [int(os.environ["LOCAL_RANK"])] if on_gpu else None
        return MMDistributedDataParallel(
            module=model, device_ids=device_ids, broadcast_buffers=False
        )

    def _init_model_weights(self) -> None:
        """Nothing: the model's constructor drew the same weights in every process."""
