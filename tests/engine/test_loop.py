"""A step that goes wrong is explained."""

import math

import pytest
import torch

from selfpatch.errors import InputError
from tests.engine.tiny_pretraining import train


def test_a_loss_that_is_not_finite_stops_the_run_and_is_explained(images, tmp_path, monkeypatch):
    from selfpatch.objectives.selfpatch import SelfPatchLoss

    calls = iter(range(100))
    forward = SelfPatchLoss.forward
    monkeypatch.setattr(
        SelfPatchLoss,
        "forward",
        lambda *args: forward(*args) * (math.nan if next(calls) == 4 else 1),  # two a batch
    )
    with pytest.raises(InputError, match=r"patch_loss is nan at iteration 2 of epoch 1 on .*\.png"):
        train("demo_selfpatch.py", images, tmp_path)
    saved = torch.load(tmp_path / "non_finite_iter_2_rank_0.pth", weights_only=True)
    assert math.isnan(saved["losses"]["patch_loss"])
    assert math.isfinite(saved["losses"]["cls_loss"])
    assert len(saved["path"]) == len(saved["views"][0]) == 4
    assert all(value.isfinite().all() for value in saved["state_dict"].values())
