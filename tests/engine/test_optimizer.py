"""Clipping by hand."""

import pytest
import torch
from torch import nn

from selfpatch.engine.optimizer import clip_all, clip_each


def with_gradients(*gradients: list[float]) -> list[nn.Parameter]:
    parameters = [nn.Parameter(torch.zeros(len(gradient))) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    return parameters


def test_clipping_scales_each_gradient_by_itself():
    parameters = with_gradients([3.0, 4.0], [0.3, 0.4])
    assert float(clip_each(parameters, clip_norm=1.0)) == pytest.approx(5.0)
    assert parameters[0].grad.tolist() == pytest.approx([0.6, 0.8])
    assert parameters[1].grad.tolist() == pytest.approx([0.3, 0.4])


def test_clipping_all_scales_gradients_together():
    parameters = with_gradients([3.0], [4.0])
    assert float(clip_all(parameters, clip_norm=1.0)) == pytest.approx(5.0)
    assert [parameter.grad.item() for parameter in parameters] == pytest.approx([0.6, 0.8])
