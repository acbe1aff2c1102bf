"""Files that hold more than tensors: what is read, and what is never run."""

import os
import struct
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from selfpatch.backbones.pickles import run_no_code_of_checkpoints, unpickle
from selfpatch.errors import InputError
from tests import ROOT
from tests.engine.tiny_pretraining import CONFIGS, TINY, arguments


class Planted:
    """Makes a folder where it is unpickled by something that runs what a pickle says."""

    def __init__(self, folder: object, function: Callable = os.mkdir) -> None:
        self.folder, self.function = str(folder), function

    def __reduce__(self) -> tuple:
        return self.function, (self.folder,)


@pytest.fixture
def planted(tmp_path):
    path = tmp_path / "planted.pth"
    content = {"state_dict": {}, "meta": Planted(tmp_path / "was_run"), "optimizer": {}}
    torch.save(content, path)
    yield path
    assert not (tmp_path / "was_run").exists()


def test_what_is_planted_is_named_and_not_run(planted):
    with pytest.raises(InputError, match=r"is not a safe checkpoint: it wants to run posix.mkdir"):
        unpickle(planted)


def test_an_archive_that_says_it_goes_on_on_another_disk_is_refused(tmp_path):
    path = tmp_path / "b.pth"
    torch.save({"state_dict": {}}, path)
    content, end = path.read_bytes()[:-22], path.read_bytes()[-22:]
    path.write_bytes(content + struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 2) + end)
    with pytest.raises(InputError, match="is no PyTorch file, or not all of one"):
        unpickle(path)


@pytest.mark.parametrize("module", ["selfpatch.hosts", "selfpatch.engine"])
def test_mmengine_runs_nothing_once_a_config_has_imported_this(module, planted):
    """It would warn, and then unpickle whatever is there."""
    program = (
        f"import {module}, torch\nfrom mmengine.runner import CheckpointLoader\n"
        f"try: torch.load({str(planted)!r}, weights_only=False)\n"
        "except Exception as error: print(type(error).__name__)\n"
        f"CheckpointLoader.load_checkpoint({str(planted)!r})"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "UnpicklingError" in done.stdout
    assert done.stderr.splitlines()[-1].endswith("it wants to run posix.mkdir")


def test_what_the_hosts_checkpoints_hold_is_read(tmp_path):
    run_no_code_of_checkpoints()
    buffer = HistoryBuffer([1.0, 3.0], [1, 1])
    content = {
        "message_hub": {"log_scalars": {"train/loss": buffer}},
        "meta": {"seed": np.int64(3), "rate": np.float32(0.5), "name": np.str_("x")},
        "state_dict": {"a": torch.ones(2)},
        "places": np.arange(6, dtype=np.uint8).reshape(2, 3),
    }
    torch.save(content, tmp_path / "c.pth")
    found = CheckpointLoader.load_checkpoint(str(tmp_path / "c.pth"))
    assert found["message_hub"]["log_scalars"]["train/loss"].mean() == 2.0
    assert found["meta"] == content["meta"]
    assert found["places"].tolist() == [[0, 1, 2], [3, 4, 5]]


class Method:
    """Asks for an attribute of something else than a buffer of the log."""

    def __reduce__(self) -> tuple:
        return getattr, (HistoryBuffer, "__class__")


def test_getattr_reaches_the_methods_of_a_logs_buffer_and_nothing_else(tmp_path):
    run_no_code_of_checkpoints()
    torch.save({"a": Method()}, tmp_path / "c.pth")
    with pytest.raises(InputError, match=r"it wants to run builtins.getattr"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "c.pth"))


@pytest.mark.parametrize("how", ["load_from", "--resume"])
def test_a_pretraining_takes_nothing_up_that_wants_to_run_code(
    how, planted, images, tmp_path, programs
):
    options = {**TINY, "load_from": str(planted)} if how == "load_from" else TINY
    if how == "--resume":
        (tmp_path / "work").mkdir()
        (tmp_path / "work/epoch_1.pth").write_bytes(planted.read_bytes())
    line = arguments("demo_dino.py", images, tmp_path / "work", options, resume=how == "--resume")
    done = programs.run(*line)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert str(CONFIGS) not in done.stderr.splitlines()[-1]
    assert "safe" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("version", "is_read"), [("2.5.1", False), ("2.6.0", True), ("2.15", True)]
)
def test_a_torch_that_cannot_read_safely_does_not_read(version, is_read, tmp_path, monkeypatch):
    torch.save({"a": torch.ones(1)}, tmp_path / "c.pth")
    monkeypatch.setattr(torch, "__version__", version)
    if is_read:
        assert unpickle(tmp_path / "c.pth")["a"].equal(torch.ones(1))
        return
    with pytest.raises(InputError, match=r"can be read with torch 2\.6 or newer only"):
        unpickle(tmp_path / "c.pth")
