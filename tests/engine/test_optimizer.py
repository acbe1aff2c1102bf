"""Clipping by hand."""

import math

import pytest
import torch
from torch import nn

from selfpatch.engine.optimizer import DecayGroups, PretrainOptimWrapper, clip_all, clip_each


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


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("fused", [True, False])
def test_a_loss_that_is_not_finite_moves_nothing_whatever_its_gradient(fused, precision):
    """As where a gradient is computed beside its loss, and not derived from it."""
    weight = nn.Parameter(torch.ones(2))
    groups = [{"params": [weight], "decays": True}]
    wrapper = PretrainOptimWrapper(
        torch.optim.AdamW(groups, lr=0.1, fused=fused), clip_norm=1.0, precision=precision
    )
    for parts in ([1.0, 1.0], [math.inf, 1.0], [1.0, math.nan], [1.0, 1.0]):
        before = weight.detach().clone()
        for part in parts:
            wrapper.backward(weight.sum() + part)
        wrapper.clip_gradients()
        wrapper.step()
        wrapper.zero_grad()
        assert weight.equal(before) == (not all(map(math.isfinite, parts)))
        assert weight.isfinite().all()


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


def built(**optimizer: object) -> PretrainOptimWrapper:
    cfg = {"type": "PretrainOptimWrapper", "clip_norm": 1.0, "optimizer": {"lr": 0.1, **optimizer}}
    return DecayGroups(cfg)(nn.Linear(2, 2))


def stepped(wrapper: PretrainOptimWrapper) -> torch.Tensor:
    """The weights after a step; every gradient is one."""
    for group in wrapper.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.ones_like(parameter)
    wrapper.clip_gradients()
    wrapper.step()
    return wrapper.param_groups[0]["params"][0].detach().clone()


@pytest.mark.parametrize(
    ("optimizer", "fused"),
    [
        ({"type": "AdamW"}, True),
        ({"type": "Adam"}, True),
        ({"type": "AdamW", "fused": False}, False),
        ({"type": "AdamW", "foreach": True}, None),
        ({"type": "AdamW", "differentiable": True}, None),
        ({"type": "SGD", "momentum": 0.9}, None),
        ({"type": "Adagrad"}, None),
        ({"type": "RMSprop"}, None),
    ],
    ids=str,
)
def test_adam_is_fused_unless_its_settings_say_how_it_steps(optimizer, fused):
    wrapper = built(**optimizer)
    assert [group.get("fused") for group in wrapper.param_groups] == [fused, fused]


def test_sgd_may_hold_back_its_first_step_and_let_prototypes_join_later():
    """torch's fused one then goes on with a momentum that nobody wrote, or raises."""
    wrapper = built(type="SGD", momentum=0.9)
    weight, bias = (group["params"][0] for group in wrapper.param_groups)
    start = weight.detach().clone()
    weight.grad, bias.grad = torch.full_like(weight, math.nan), None
    wrapper.clip_gradients()
    wrapper.step()
    assert weight.equal(start)
    stepped(wrapper)
    torch.testing.assert_close(weight, start - 0.1 * 0.5)  # of norm 2, clipped at 1


@pytest.mark.parametrize(("saved", "own"), [(None, True), (True, False)])
def test_a_checkpoint_of_a_fused_or_unfused_optimizer_is_taken_up_by_the_other(saved, own):
    torch.manual_seed(1)
    first = built(type="AdamW", **({"foreach": False} if saved is None else {"fused": saved}))
    stepped(first)
    state = first.state_dict()
    second = built(type="AdamW", fused=own)
    for ours, theirs in zip(second.param_groups, first.param_groups, strict=True):
        for parameter, other in zip(ours["params"], theirs["params"], strict=True):
            parameter.data.copy_(other.data)
    second.load_state_dict(state)
    assert [group["fused"] for group in second.param_groups] == [own, own]
    assert [group["foreach"] for group in second.param_groups] == [None, None]
    torch.testing.assert_close(stepped(second), stepped(first))
