"""Clipping by hand."""

import pytest
import torch

from selfpatch.engine.optimizer import clip_all, clip_each


def test_clipping_scales_each_gradient_by_itself():
    gradients = [torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])]
    norms = clip_each(gradients, clip_norm=1.0)
    assert norms.tolist() == pytest.approx([5.0, 0.5])
    assert gradients[0].tolist() == pytest.approx([0.6, 0.8])
    assert gradients[1].tolist() == pytest.approx([0.3, 0.4])


def test_clipping_all_scales_gradients_together():
    gradients = [torch.tensor([3.0]), torch.tensor([4.0])]
    assert float(clip_all(gradients, clip_norm=1.0)) == pytest.approx(5.0)
    assert torch.cat(gradients).tolist() == pytest.approx([0.6, 0.8])
