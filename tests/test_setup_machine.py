"""Set-up stops early, with a sentence that says what is missing."""

import os
import shutil
import sys
import sysconfig
from collections import namedtuple
from pathlib import Path

import pytest

from tools.setup import machine, process
from tools.setup.console import SetupError
from tools.setup.environment import Environment

ROOT = Path(__file__).resolve().parents[1]
NOT_FOUND = "ERROR: No matching distribution found for torch==2.11.0"
RETRY = "WARNING: Retrying after connection broken by 'E(\"{}\")'\n" + NOT_FOUND


def test_missing_compiler_is_named_with_its_package(tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"no C\+\+ compiler .* apt install g\+\+"):
        machine.check_compiler()


@pytest.mark.parametrize(
    ("refused", "sentence"),
    [("<vector>", r"does not compile .* install g\+\+"), ("<Python.h>", "headers .* python3-dev")],
)
def test_compiler_is_tried_on_what_mmcv_needs(refused, sentence, tmp_path, monkeypatch):
    compiler = tmp_path / "compiler"
    compiler.write_text(f'#!/bin/sh\nfor last; do :; done\n! grep -q "{refused}" "$last"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(SetupError, match=sentence):
        machine.check_compiler()


@pytest.mark.skipif(not shutil.which("c++"), reason="needs a C++ compiler to find headers missing")
def test_missing_python_headers_are_found_by_a_real_compiler(tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(SetupError, match="headers are missing"):
        machine.check_compiler()


def test_missing_venv_module_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name != "ensurepip" or None)
    with pytest.raises(SetupError, match=r"no ensurepip module.*apt install python3-venv"):
        machine.check_venv_module()


def test_full_disk_is_said_with_what_is_needed(tmp_path, monkeypatch):
    usage = namedtuple("usage", ["free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(3 * machine.GIB))
    with pytest.raises(SetupError, match=r"needs 10 GB free on the disk of .* has 3\.0 GB"):
        machine.check_disk(tmp_path, torch_installed=False)
    machine.check_disk(tmp_path, torch_installed=True)


def test_closed_network_is_one_sentence_instead_of_pips_traceback(tmp_path, monkeypatch):
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    shutil.copy(ROOT / "pins.txt", tmp_path)
    environment = Environment(tmp_path)
    environment.python = Path(sys.executable)
    with pytest.raises(
        SetupError, match=r"reached \(Connection refused\): check the network"
    ) as raised:
        environment.install("--retries=1", "selfpatch-nonexistent==1")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        (RETRY.format("[Errno -2] Name or service not known"), "reached .Name or service not kno"),
        (RETRY.format("[SSL: CERTIFICATE_VERIFY_FAILED] failed"), "reached .CERTIFICATE_VERIFY_F"),
        ("urllib3.exceptions.ReadTimeoutError: Read timed out.", r"reached \(timed out\)"),
        (NOT_FOUND, "has no torch==2.11.0 for this Python"),
        ("x.cpp:1: error: 'y' was not declared\nninja: stopped", r"'y' was not declared.*log\.txt"),
        ("", "printed nothing"),
    ],
)
def test_failed_command_is_explained_in_one_sentence(output, sentence):
    explained = process.explain(output, Path("log.txt"))
    assert "\n" not in explained
    with pytest.raises(SetupError, match=sentence):
        raise SetupError(explained)


def test_build_takes_no_more_processes_than_memory_allows(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(machine, "available_memory", lambda: 16.0 * machine.GIB)
    assert machine.num_build_jobs() == 13
    monkeypatch.setattr(machine, "available_memory", lambda: 0.5 * machine.GIB)
    assert machine.num_build_jobs() == 1
