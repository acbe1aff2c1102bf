"""The textbook's step computes what ours does."""

import pytest
import torch

from tests.engine.test_pretrainer import tiny
from tools.benchmarks.step import SETTINGS, optimizer_of, ours
from tools.benchmarks.textbook_step import Textbook


@pytest.mark.parametrize("patches", [None, {}], ids=["alone", "selfpatch"])
def test_both_ways_have_the_same_losses_and_weights(patches):
    torch.manual_seed(0)
    model = tiny("dino", patches)
    model.objective.centers_all_views = patches is not None
    for network in (model.student, model.teacher):
        for parameter in network.parameters():
            parameter.data *= 4  # fresh weights are so small that all summaries look alike
    textbook = Textbook(model, SETTINGS.lr, SETTINGS.weight_decay)
    views = [torch.randn(2, 3, 32, 32) for _ in range(2)] + [torch.randn(2, 3, 24, 24)] * 3
    run = ours(model, optimizer_of(model, "fp32"), views)
    for _ in range(3):
        expected = textbook.step(views, SETTINGS.momentum, torch.float32)
        assert float(run()) == pytest.approx(expected, rel=1e-4)
    for (name, own), other in zip(
        model.student.named_parameters(), textbook.student.parameters(), strict=True
    ):
        if "attn.k.bias" not in name and "qkv.bias" not in name:  # of no gradient but rounding
            torch.testing.assert_close(own, other, atol=1e-4, rtol=0, msg=name)
