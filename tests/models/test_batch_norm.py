"""Batch normalisation in one process is torch's own."""

import pytest
import torch
from torch import nn

from selfpatch.models.batch_norm import SyncBatchNorm1d


@pytest.mark.parametrize("momentum", [0.1, 0.3, None])
def test_output_gradient_and_running_statistics_are_torchs(momentum):
    ours, torchs = (norm(5, momentum=momentum) for norm in (SyncBatchNorm1d, nn.BatchNorm1d))
    for norm in (ours, torchs):
        torch.manual_seed(0)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    for _ in range(3):
        rows = 2 + 3 * torch.randn(7, 5)
        inputs = [rows.clone().requires_grad_() for _ in range(2)]
        outputs = [norm(x) for norm, x in zip((ours, torchs), inputs, strict=True)]
        torch.testing.assert_close(*outputs)
        for output in outputs:
            output.square().sum().backward()
        torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for own, expected in zip(ours.buffers(), torchs.buffers(), strict=True):
        torch.testing.assert_close(own, expected)
    torch.testing.assert_close(ours.eval()(rows), torchs.eval()(rows))


def test_statistics_are_those_of_fp32_under_autocast():
    norm = SyncBatchNorm1d(4, affine=False)
    rows = 100 + torch.randn(64, 4)
    with torch.autocast("cpu", torch.bfloat16):
        found = norm(rows)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, nn.BatchNorm1d(4, affine=False)(rows), atol=1e-4, rtol=1e-4)
