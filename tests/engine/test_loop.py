"""A step that goes wrong is explained."""

import math

import pytest
import torch

from selfpatch.backbones.file import digest
from selfpatch.errors import InputError
from tests.engine.tiny_pretraining import CONFIG_OPTIONS, train, weights


@pytest.mark.parametrize(
    "spoiled",
    [lambda loss: loss * math.nan, lambda loss: loss + math.nan],
    ids=["and its gradient", "alone"],
)
def test_a_loss_that_is_not_finite_stops_the_run_and_is_explained(
    spoiled, images, tmp_path, monkeypatch
):
    from selfpatch.objectives.selfpatch import SelfPatchLoss

    calls = iter(range(100))
    forward = SelfPatchLoss.forward
    monkeypatch.setattr(
        SelfPatchLoss,
        "forward",  # two a batch
        lambda *args: spoiled(forward(*args)) if next(calls) == 4 else forward(*args),
    )
    every = {"default_hooks.checkpoint.by_epoch": False}
    quiet = {"default_hooks.logger.interval": 1000}
    with pytest.raises(InputError, match=r"patch_loss is nan at iteration 2 of epoch 1 on .*\.png"):
        train("demo_selfpatch.py", images, tmp_path, **every, **quiet)
    saved = torch.load(tmp_path / "non_finite_iter_2_rank_0.pth", weights_only=True)
    assert math.isnan(saved["losses"]["patch_loss"])
    assert math.isfinite(saved["losses"]["cls_loss"])
    assert len(saved["path"]) == len(saved["views"][0]) == 4
    assert all(value.isfinite().all() for value in saved["state_dict"].values())
    before = weights(tmp_path, "iter_2.pth")
    for name, value in saved["state_dict"].items():
        if name.startswith("student."):
            assert value.equal(before[name])
    assert not (tmp_path / "iter_3.pth").exists()


def test_a_loss_that_is_not_finite_stops_a_run_that_neither_logs_nor_saves(
    images, tmp_path, monkeypatch
):
    from selfpatch.objectives.dino import DINO

    forward = DINO.forward
    calls = iter(range(100))
    monkeypatch.setattr(
        DINO,
        "forward",
        lambda *args: forward(*args) * (math.nan if next(calls) == 2 else 1),  # two a batch
    )
    with pytest.raises(InputError, match="cls_loss is nan at iteration 1 of epoch 1"):
        train("demo_dino.py", images, tmp_path, default_hooks__logger__interval=1000)
    assert not list(tmp_path.glob("epoch_*.pth"))


@pytest.mark.parametrize(
    "settings",
    [{"compile": {"backend": "eager"}}, {"activation_checkpointing": ["student.trunk.blocks.1"]}],
    ids=["compile", "activation checkpointing"],
)
def test_mmengines_settings_for_speed_and_memory_change_no_weight(settings, images, tmp_path):
    plain = weights(train("demo_selfpatch.py", images, tmp_path / "plain"), "epoch_2.pth")
    changed = train("demo_selfpatch.py", images, tmp_path / "changed", **settings)
    for name, value in weights(changed, "epoch_2.pth").items():
        torch.testing.assert_close(value, plain[name], atol=1e-5, rtol=0, msg=name)


def test_a_checkpointed_block_learns_where_nothing_before_it_does(images, tmp_path, monkeypatch):
    """MoCo-v3's patch projection and positions stand still, and there is no [CLS] token."""
    config = "demo_selfpatch.py"
    own = {"_delete_": True, "name": "mocov3", "hidden_dim": 8, "out_dim": 4}
    rest = {name: v for name, v in CONFIG_OPTIONS[config].items() if "objective" not in name}
    monkeypatch.setitem(CONFIG_OPTIONS, config, {**rest, "model.objective": own})
    named = {"activation_checkpointing": ["student.trunk.blocks.0"]}
    plain, changed = (
        weights(train(config, images, tmp_path / name, **settings), "epoch_2.pth")
        for name, settings in (("plain", {}), ("changed", named))
    )
    moved = "trunk.blocks.0.attn.qkv.weight"
    assert not plain[f"student.{moved}"].equal(plain[f"teacher.{moved}"])
    assert digest(changed) == digest(plain)
