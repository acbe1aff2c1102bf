"""Batch normalisation over the images of all processes, on any device."""

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
        values = rows.float()  # and none of what follows is cast under autocast
        mean = mean_over_processes(values.mean(0))
        variance = mean_over_processes((values - mean).square().mean(0))
        self._track(mean.detach(), variance.detach(), len(rows) * world_size())
        values = (values - mean) * (variance + self.eps).rsqrt()
        return values if self.weight is None else values * self.weight + self.bias

    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics, as torch does: the variance without bias."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        momentum = self.momentum
        if momentum is None:  # a mean over all batches
            momentum = 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), momentum)
