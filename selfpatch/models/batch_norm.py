"""Batch normalisation over the images of all processes, on any device."""

import torch
from torch import Tensor, nn

from selfpatch.models.distributed import mean_over_processes, world_size


class SyncBatchNorm1d(nn.BatchNorm1d):
    """``nn.BatchNorm1d`` whose statistics in training are those of all processes' rows.

    torch's own SyncBatchNorm is for GPUs only. Statistics and normalisation are computed in fp32.
    Every process has to bring equally many rows.
    """

    def forward(self, rows: Tensor) -> Tensor:
        """(B, D) -> (B, D), fp32 under autocast."""
        if not self.training:
            return super().forward(rows)
        with torch.autocast(rows.device.type, enabled=False):
            values = rows.float()
            mean = mean_over_processes(values.mean(0))
            variance = mean_over_processes((values - mean).square().mean(0))
            self._track(mean.detach(), variance.detach(), len(rows) * world_size())
            values = (values - mean) * (variance + self.eps).rsqrt()
            return values if self.weight is None else values * self.weight + self.bias

    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics, as torch does: the variance without bias."""
        momentum = 0.1 if self.momentum is None else self.momentum
        if self.running_mean is not None and self.running_var is not None:
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * (count / max(count - 1, 1)), momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
