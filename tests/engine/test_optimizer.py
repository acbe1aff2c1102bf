"""Clipping by hand."""

import math

import pytest
import torch
from torch import nn

from selfpatch.engine.optimizer import PretrainOptimWrapper, clip_all, clip_each


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


def test_rates_and_clipping_by_the_names_that_a_config_gives():
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2, 2))]
    groups = [
        {"params": [parameters[0]], "decays": False},
        {"params": [parameters[1]], "decays": True},
    ]
    wrapper = PretrainOptimWrapper(torch.optim.AdamW(groups), clip_norm=1.0, clip="all")
    wrapper.set_rates(0.3, 0.2)
    assert [group["lr"] for group in wrapper.param_groups] == [0.3, 0.3]
    assert [group["weight_decay"] for group in wrapper.param_groups] == [0.0, 0.2]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    wrapper.clip_gradients()
    total = torch.cat([parameter.grad.flatten() for parameter in parameters]).norm()
    assert float(total) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("fused", [True, False])
def test_a_gradient_that_is_not_finite_moves_nothing(fused, value):
    parameters = with_gradients([1.0, 1.0], [1.0])
    groups = [{"params": parameters, "decays": True}]
    wrapper = PretrainOptimWrapper(torch.optim.AdamW(groups, lr=0.1, fused=fused), clip_norm=1.0)
    for last in (1.0, value, 1.0):
        before = [parameter.detach().clone() for parameter in parameters]
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        parameters[1].grad = torch.tensor([last])
        wrapper.clip_gradients()
        wrapper.step()
        stood = [p.equal(old) for p, old in zip(parameters, before, strict=True)]
        assert stood == [not math.isfinite(last)] * 2
        assert all(parameter.isfinite().all() for parameter in parameters)


def test_a_norm_of_zero_leaves_the_gradients():
    for clip in (clip_each, clip_all):
        parameters = with_gradients([3.0, 4.0])
        assert float(clip(parameters, clip_norm=0.0)) == pytest.approx(5.0)
        assert parameters[0].grad.tolist() == [3.0, 4.0]


def test_a_gradient_as_small_as_dinos_epsilon_is_halved():
    """facebookresearch/dino, utils.py, clip_gradients: clip / (norm + 1e-6)."""
    parameters = with_gradients([1e-6])
    clip_each(parameters, clip_norm=1e-6)
    assert parameters[0].grad.item() == pytest.approx(0.5e-6, rel=1e-4)
