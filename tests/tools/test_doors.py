"""The scripts that OpenMMLab's users know call the suite's commands with what they were given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT


def typed(folder: Path, *line: str, **environment: str) -> list[str]:
    """The words with which a script starts torchrun or srun, which here only print them."""
    for name in ("torchrun", "srun"):
        program = folder / name
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        program.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    own = {**os.environ, **environment, "PATH": path}
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, env=own, check=True)
    return done.stdout.splitlines()


def test_several_processes_on_one_machine(tmp_path):
    words = typed(tmp_path, "tools/dist_train.sh", "a config.py", "8", "--work-dir", "w", PORT="1")
    assert words[:2] == ["--nproc-per-node", "8"]
    assert words[words.index("--master-port") + 1] == "1"
    assert words[words.index("-m") + 1 :] == [
        "selfpatch", "finetune", "a config.py", "--launcher", "pytorch", "--work-dir", "w",
    ]  # fmt: skip
    words = typed(tmp_path, "tools/dist_test.sh", "c.py", "x.pth", "2", "--tta")
    assert words[:2] == ["--nproc-per-node", "2"]
    assert words[words.index("-m") + 1 :] == [
        "selfpatch", "test", "c.py", "x.pth", "--launcher", "pytorch", "--tta",
    ]  # fmt: skip


def test_a_cluster(tmp_path):
    words = typed(tmp_path, "tools/slurm_train.sh", "gpu", "job", "c.py", "w", "--amp", GPUS="16")
    assert words[:6] == ["--partition", "gpu", "--job-name", "job", "--ntasks", "16"]
    assert "--gres=gpu:8" in words
    assert words[words.index("-m") + 1 :] == [
        "selfpatch", "finetune", "c.py", "--work-dir", "w", "--launcher", "slurm", "--amp",
    ]  # fmt: skip
    words = typed(tmp_path, "tools/slurm_test.sh", "gpu", "job", "c.py", "x.pth", GRES="--gres=")
    assert words[words.index("-m") + 1 :] == [
        "selfpatch", "test", "c.py", "x.pth", "--launcher", "slurm",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "arguments"), [("train.py", ["nothing.py"]), ("test.py", ["nothing.py", "x.pth"])]
)
def test_train_and_test(script, arguments):
    line = [sys.executable, f"tools/{script}", *arguments]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "the config nothing.py does not exist" in done.stderr
