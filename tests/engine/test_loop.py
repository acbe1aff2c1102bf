"""A step that goes wrong is explained."""

import math

import pytest
import torch

from selfpatch.backbones.file import digest
from selfpatch.errors import InputError
from selfpatch.results.scalars import read_scalars
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
    ("batch", "advised"), [(0, False), (1, False), (2, True)], ids=["first", "second", "third"]
)
def test_only_a_loss_that_steps_led_to_is_blamed_on_the_learning_rate(
    batch, advised, images, tmp_path, monkeypatch
):
    """The first step is made after two batches."""
    from selfpatch.objectives.dino import DINO

    forward = DINO.forward
    calls = iter(range(100))
    monkeypatch.setattr(
        DINO,
        "forward",
        lambda *args: forward(*args) * (math.nan if next(calls) // 2 == batch else 1),
    )
    with pytest.raises(InputError, match=f"cls_loss is nan at iteration {batch} ") as caught:
        train("demo_dino.py", images, tmp_path, optim_wrapper__accumulative_counts=2)
    sentence = str(caught.value)
    assert ("lower the learning rate" in sentence) == advised
    assert ("look at the settings of model.objective" in sentence) == (not advised)


def endless_slope(loss: torch.Tensor) -> torch.Tensor:
    """The same value, with a gradient that is not finite."""
    return loss + (loss - loss.detach()).sqrt()


def test_gradients_that_no_loss_scale_makes_finite_stop_a_run_in_fp16(
    images, tmp_path, monkeypatch
):
    """It begins at 2^16 and is halved each time, so that the 17th step takes it below 1."""
    from selfpatch.objectives.dino import DINO

    forward = DINO.forward
    monkeypatch.setattr(DINO, "forward", lambda *args: endless_slope(forward(*args)))
    options = {"optim_wrapper.precision": "fp16", "default_hooks.logger.interval": 1000}
    with pytest.raises(
        InputError,
        match=r"grad_norm is (inf|nan) at iteration 16 .* loss scale .*0\.5.* bf16 or fp32",
    ):
        train("demo_dino.py", images, tmp_path, train_cfg__max_epochs=7, **options)


def test_gradients_that_overflow_in_fp16_are_passed_over_and_halve_the_scale(images, tmp_path):
    options = {"optim_wrapper.precision": "fp16", "log_processor.window_size": 1}
    work_dir = train("demo_dino.py", images, tmp_path, train_cfg__max_epochs=5, **options)
    lines = read_scalars(work_dir)
    passed_over = [not math.isfinite(line["grad_norm"]) for line in lines]
    assert passed_over[0]
    assert not passed_over[-1]
    scales = [line["loss_scale"] for line in lines]
    assert scales == [2.0 ** (16 - sum(passed_over[: step + 1])) for step in range(len(lines))]


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
