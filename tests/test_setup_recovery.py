"""Set-up is picked up after an interruption, and believes nothing that it did not look at."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.setup import process, verify
from tools.setup.console import SetupError
from tools.setup.environment import Environment

PINS = "onedl-mmcv==2.3.6\ntorch==2.11.0\n"


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An environment that only exists as a folder with a stamp."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("pins.txt", "setup.cfg"):
        (tmp_path / name).write_text(PINS)
    environment = Environment(tmp_path)
    environment.folder.mkdir()
    environment.write_stamp()
    return environment


@pytest.fixture
def site(tmp_path):
    """A folder of installed packages with one complete package in it."""
    package, info = tmp_path / "torch", tmp_path / "torch-2.11.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text("x = 1\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.11.0\n")
    (info / "RECORD").write_text("torch/__init__.py,,6\ntorch-2.11.0.dist-info/RECORD,,\n")
    return tmp_path


def test_finished_setup_is_recognised(environment):
    assert environment.is_stamped()


@pytest.mark.parametrize("name", ["pins.txt", "setup.cfg"])
def test_stamp_is_not_believed_after_a_change(name, environment):
    (environment.root / name).write_text(PINS + "extra==1\n")
    assert not environment.is_stamped()


def test_stamp_is_not_believed_in_another_place(environment, tmp_path_factory):
    moved = tmp_path_factory.mktemp("moved") / "project"
    shutil.copytree(environment.root, moved)
    assert not Environment(moved).is_stamped()


def test_stamp_is_not_believed_for_another_python(environment, monkeypatch):
    monkeypatch.setattr(sys, "version", "3.99")
    assert not environment.is_stamped()


def test_stamp_cut_short_is_no_stamp(environment):
    stamp = environment.folder / "setup.json"
    stamp.write_text(stamp.read_text()[:40])
    assert not environment.is_stamped()


def test_missing_environment_is_no_environment(environment):
    assert environment.inspect() is None


def test_stack_that_does_not_import_is_one_sentence(environment):
    environment.python = Path(sys.executable)
    with pytest.raises(SetupError, match=r"^no torch \(ModuleNotFoundError: .*'xyzzy'\)$"):
        environment.evaluate("import xyzzy", "no torch")


def test_complete_package_of_the_pinned_version_needs_nothing(site):
    assert verify.inspect(["torch==2.11.0"], site) == {"missing": [], "broken": []}


def test_other_version_is_missing(site):
    assert verify.inspect(["torch==2.12.0"], site)["missing"] == ["torch==2.12.0"]


def test_pin_of_another_python_is_not_wanted(site):
    assert verify.inspect(['tomli==2.5.0 ; python_version < "3.0"'], site)["missing"] == []


@pytest.mark.parametrize("damage", ["cut", "gone", "unlisted"])
def test_half_installed_package_is_broken_and_missing(damage, site):
    if damage == "cut":
        (site / "torch/__init__.py").write_text("x")
    elif damage == "gone":
        (site / "torch/__init__.py").unlink()
    else:
        (site / "torch-2.11.0.dist-info/RECORD").unlink()
    assert verify.inspect(["torch==2.11.0"], site) == {
        "missing": ["torch==2.11.0"],
        "broken": [str(site / "torch-2.11.0.dist-info")],
    }


def test_what_pip_left_while_replacing_a_package_is_dropped(environment, site):
    (site / "~orch").mkdir()
    environment.drop(verify.inspect(["torch==2.11.0"], site)["broken"])
    assert not (site / "~orch").exists()


def test_killed_setup_leaves_nothing_running(tmp_path):
    command = ["sh", "-c", f"echo $$ > {tmp_path}/pid.partial; mv {tmp_path}/pid* {tmp_path}/pid; "]
    command[-1] += "exec sleep 60"
    code = f"from pathlib import Path; from tools.setup.process import run; run({command!r}, "
    code += f"Path({str(tmp_path / 'log')!r}))"
    setup = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[1])
    wait_for((tmp_path / "pid").exists)
    child = int((tmp_path / "pid").read_text())
    setup.kill()
    setup.wait()
    wait_for(lambda: not is_running(child))


def test_interrupted_setup_ends_what_it_started(tmp_path):
    previous = signal.signal(signal.SIGALRM, raise_interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    script = f"echo $$ > {tmp_path}/pid; sleep 60 & wait"
    try:
        with pytest.raises(KeyboardInterrupt):
            process.run(["sh", "-c", script], tmp_path / "log")
    finally:
        signal.signal(signal.SIGALRM, previous)
    wait_for(lambda: not is_running(int((tmp_path / "pid").read_text())))


def raise_interrupt(*_):
    raise KeyboardInterrupt


def is_running(pid: int) -> bool:
    """Whether a process exists and is more than an entry that nobody collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited for 20 seconds"
        time.sleep(0.02)
