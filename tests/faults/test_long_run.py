"""A long training takes no more memory and files at its end than in its middle."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.engine.tiny_pretraining import CONFIG_OPTIONS, arguments
from tests.faults import TORTURE

pytestmark = pytest.mark.slow

ITERATIONS = 300 if TORTURE == 1 else 3000


def test_a_long_training_does_not_grow(programs, images, tmp_path):
    options = {
        **CONFIG_OPTIONS["demo_selfpatch.py"],
        "train_cfg.max_epochs": ITERATIONS // 3,  # of three steps each
        "train_dataloader.num_workers": 1,
        "default_hooks.checkpoint.interval": ITERATIONS // 30,
        "default_hooks.logger.interval": 10,
    }
    program = programs.start(*arguments("demo_selfpatch.py", images, tmp_path / "run", options))
    handles, memory = [], []
    while not (tmp_path / "run/backbone.safetensors").exists() and program.is_alive():
        status = Path(f"/proc/{program.pid}/status")
        try:
            resident = [line for line in status.read_text().splitlines() if "VmRSS" in line]
            memory.append(int(resident[0].split()[1]) / 1024)
            handles.append(len(os.listdir(f"/proc/{program.pid}/fd")))
        except (OSError, IndexError):
            break
    done = program.wait()
    assert done.returncode == 0, done.stderr[-2000:]
    (log,) = (tmp_path / "run").glob("*/vis_data/scalars.json")
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    times = [step["time"] for step in steps if "time" in step]
    tenth, half = max(len(times) // 10, 1), len(memory) // 2
    first, last = np.median(times[tenth : 2 * tenth]), np.median(times[-tenth:])
    grown = max(memory[-half:]) - max(memory[half // 2 : half])
    files = [path for path in (tmp_path / "run").rglob("*") if path.suffix != ".pth"]
    written = sum(path.stat().st_size for path in files) / ITERATIONS
    print(
        f"\n{ITERATIONS} iterations: {1000 * first:.1f} ms each at first, {1000 * last:.1f} at"
        f" last; {max(memory):.0f} MiB, {grown:+.1f} in the second half; {handles[-1]} files open"
        f" at last, {max(handles)} at most; {written:.0f} bytes of log per iteration"
    )
    assert grown < 20
    assert max(handles[-half:]) <= max(handles[:half]) + 2
