"""mmcv's wheel: one per Python, torch, CUDA, version and machine, and only a finished one."""

import dataclasses
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.setup import machine, mmcv_wheel
from tools.setup.console import SetupError
from tools.setup.environment import Environment
from tools.setup.mmcv_wheel import Target

TARGET = Target(mmcv="2.3.6", torch="2.11.0+cu130")


class FakeEnvironment(Environment):
    """Stands for .venv: ``pip wheel`` writes a file, or is interrupted while it does."""

    def __init__(self, probe=None):
        self.pins = ["onedl-mmcv==2.3.6", "torch==2.11.0"]
        self.probe = probe
        self.interrupted = False
        self.num_builds = 0

    def evaluate(self, code, failure):
        return json.dumps(self.probe)

    def pip(self, *arguments, **environment):
        self.num_builds += 1
        wheel = Path(arguments[arguments.index("--wheel-dir") + 1]) / "onedl_mmcv-2.3.6.whl"
        wheel.write_bytes(b"half")
        if self.interrupted:
            raise KeyboardInterrupt
        wheel.write_bytes(b"whole")


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """Neither the user's cache nor the machine's compiler has a say."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "check_compiler", lambda: "c++")


def nvcc_of(release, folder, monkeypatch):
    nvcc = folder / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text(f"#!/bin/sh\necho Cuda compilation tools, release {release}, V{release}.1\n")
    nvcc.chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(folder))


def test_key_tells_apart_all_that_the_binary_depends_on(monkeypatch):
    changes: list[dict[str, Any]] = [
        {},
        {"mmcv": "2.3.7"},
        {"torch": "2.12.0+cu130"},
        {"cuda": "13.0", "gpus": ("9.0",)},
        {"cuda": "13.0", "gpus": ("8.0", "9.0")},
        {"cuda": "12.8", "gpus": ("9.0",)},
    ]
    keys = {Target(**{**dataclasses.asdict(TARGET), **change}).key() for change in changes}
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    keys.add(TARGET.key())
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    keys.add(TARGET.key())
    assert len(keys) == len(changes) + 2
    assert all(os.sep not in key for key in keys)


def test_nvcc_without_a_gpu_builds_cpu_operators(tmp_path, monkeypatch):
    nvcc_of("13.0", tmp_path, monkeypatch)
    probe = {"torch": "2.11.0+cu130", "cuda": "13.0", "gpus": []}
    target = mmcv_wheel.find_target(FakeEnvironment(probe))
    assert target == TARGET
    assert target.build_environment()["CUDA_VISIBLE_DEVICES"] == ""
    assert target.build_environment()["FORCE_CUDA"] == "0"


def test_nvcc_and_a_gpu_build_cuda_operators(tmp_path, monkeypatch):
    nvcc_of("13.0", tmp_path, monkeypatch)
    probe = {"torch": "2.11.0+cu130", "cuda": "13.0", "gpus": ["8.0", "9.0"]}
    target = mmcv_wheel.find_target(FakeEnvironment(probe))
    assert target.device == "cuda"
    variables = target.build_environment()
    assert variables["FORCE_CUDA"] == "1"
    assert variables["TORCH_CUDA_ARCH_LIST"] == "8.0;9.0"
    assert variables["CUDA_HOME"] == str(tmp_path)


def test_nvcc_of_another_cuda_than_torchs_builds_cpu_operators(tmp_path, monkeypatch, capsys):
    nvcc_of("12.4", tmp_path, monkeypatch)
    probe = {"torch": "2.11.0+cu130", "cuda": "13.0", "gpus": ["9.0"]}
    assert mmcv_wheel.find_target(FakeEnvironment(probe)) == TARGET
    assert "not of CUDA 13.0" in capsys.readouterr().out


def test_interrupted_build_leaves_no_wheel_and_the_next_one_clears_up():
    environment = FakeEnvironment()
    environment.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        mmcv_wheel.build(environment, TARGET)
    assert mmcv_wheel.cached_wheel(TARGET) is None
    folder = mmcv_wheel.user_cache() / "mmcv" / TARGET.key()
    (folder / "partial-killed").mkdir()
    environment.interrupted = False
    wheel = mmcv_wheel.build(environment, TARGET)
    assert wheel.read_bytes() == b"whole"
    assert list(folder.iterdir()) == [wheel]


def test_finished_wheel_is_found_again_for_its_torch_only():
    assert not TARGET.has_cached_relative()
    mmcv_wheel.build(FakeEnvironment(), TARGET)
    assert mmcv_wheel.pinned_target(FakeEnvironment()).has_cached_relative()
    assert mmcv_wheel.cached_wheel(dataclasses.replace(TARGET, torch="2.12.0+cu130")) is None


def test_cached_wheel_that_does_not_work_is_built_again(monkeypatch):
    environment = FakeEnvironment()
    mmcv_wheel.build(environment, TARGET).write_bytes(b"of another machine")

    def install(_, wheel, target):
        if wheel.read_bytes() != b"whole":
            raise SetupError("its operators do not work")

    monkeypatch.setattr(mmcv_wheel, "install", install)
    mmcv_wheel.provide(environment, TARGET)
    assert environment.num_builds == 2
    mmcv_wheel.provide(environment, TARGET)
    assert environment.num_builds == 2
