"""Training checkpoints: which stay, which are refused, what they say of themselves."""

import os

import pytest
import torch

from selfpatch.backbones.file import digest
from selfpatch.engine.checkpoints import damage_of, find_checkpoint, newest
from selfpatch.errors import InputError
from tests.engine.tiny_pretraining import ACCUMULATED, EVERY_STEP, KEEP_ALL, train, weights


def test_the_last_checkpoints_and_every_third_stay(images, tmp_path):
    keep = {"default_hooks.checkpoint.keep_last": 2, "default_hooks.checkpoint.keep_every": 3}
    train("demo_dino.py", images, tmp_path, **keep, **{"train_cfg.max_epochs": 7})
    kept = {path.name for path in newest(tmp_path)}
    assert kept == {f"epoch_{number}.pth" for number in (3, 6, 7)}


def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_is_used(
    images, tmp_path, capsys
):
    whole = train("demo_dino.py", images, tmp_path / "whole")
    damaged = train("demo_dino.py", images, tmp_path / "damaged", **KEEP_ALL)
    content = bytearray((damaged / "epoch_2.pth").read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / "epoch_2.pth").write_bytes(content)
    train("demo_dino.py", images, damaged, resume=True, **KEEP_ALL)
    assert "epoch_2.pth (its content does not fit its checksum)" in capsys.readouterr().err
    expected, found = (weights(folder, "epoch_2.pth") for folder in (whole, damaged))
    assert digest(found) == digest(expected)


class Hostile:
    """Stands for a class that is not to be unpickled."""


def test_checkpoints_that_cannot_be_used_are_named(images, tmp_path):
    train("demo_dino.py", images, tmp_path, **KEEP_ALL)
    content = (tmp_path / "epoch_1.pth").read_bytes()
    (tmp_path / "epoch_1.pth").write_bytes(content[: len(content) // 2])
    torch.save({"state_dict": {}, "meta": Hostile}, tmp_path / "epoch_2.pth")
    assert damage_of(tmp_path / "epoch_1.pth") == "it is not complete"
    with pytest.raises(InputError, match=r"cannot resume from .* nor .*; delete what is"):
        find_checkpoint(str(tmp_path))


def test_a_checkpoint_says_what_made_it(images, tmp_path):
    train("demo_dino.py", images, tmp_path, train_cfg__max_epochs=1)
    note = torch.load(tmp_path / "epoch_1.pth", weights_only=True)["selfpatch"]
    assert note["versions"]["torch"] == f"torch {torch.__version__.split('+')[0]}"
    assert len(note["git"].removesuffix("+changes")) in (0, 40)
    assert "train_cfg" in note["recipe"]


def test_saving_between_accumulated_batches_is_refused(images, tmp_path):
    options = {**EVERY_STEP, **ACCUMULATED, "default_hooks.checkpoint.interval": 3}
    with pytest.raises(InputError, match="interval=3 iterations does not divide"):
        train("demo_dino.py", images, tmp_path, **options)


def test_the_newest_checkpoint_has_the_greatest_number_whatever_the_files_times(tmp_path):
    """Copied folders have the times of the copy."""
    for age, number in enumerate((10, 2, 9)):
        path = tmp_path / f"epoch_{number}.pth"
        path.touch()
        os.utime(path, (1000 + age, 1000 + age))
    assert [path.stem for path in newest(tmp_path)] == ["epoch_10", "epoch_9", "epoch_2"]
    (tmp_path / "iter_7.pth").touch()
    assert newest(tmp_path)[0].stem == "iter_7"
