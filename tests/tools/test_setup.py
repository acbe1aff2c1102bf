"""Set-up: done once, made anew when something changed, never believed when it did not finish.

uv is stood in for by a script that notes how it was called and makes an environment without
packages; that the real one installs the lock is what running this suite shows.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

UV = f"""#!/bin/sh
echo "$@" >> "$UV_CALLS"
case "$*" in *"$UV_FAILS"*) echo "uv: no network" >&2; exit 2 ;; esac
if [ "$1" = venv ]; then
    rm -rf .venv
    {sys.executable} -m venv --without-pip .venv
    cd .venv/lib/python3*/site-packages
    mkdir -p mmcv package-1.dist-info
    touch cv2.py mmcv/ops.py selfpatch.py
    echo "x = 1" > package.py
    printf 'Name: package\\nVersion: 1\\n' > package-1.dist-info/METADATA
    printf 'package.py,sha256=abc,6\\n' > package-1.dist-info/RECORD
fi
"""

READ = ("tools/setup.sh", "tools/build_backend.py", "requirements.lock", "setup.cfg")


class Project:
    """A clone with nothing in it but what set-up reads, and the programs it finds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a clone"
        (self.folder / "tools").mkdir(parents=True)
        for name in READ:
            shutil.copy(ROOT / name, self.folder / name)
        self.bin, self.calls = folder / "bin", folder / "calls"
        self.bin.mkdir()
        self.program("uv", UV)

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def set_up(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Call the script; the stand-in's calls are noted anew."""
        self.calls.write_text("")
        environment = {"PATH": f"{self.bin}:{os.environ['PATH']}", "UV_CALLS": str(self.calls)}
        return subprocess.run(
            ["sh", str(self.folder / "tools/setup.sh")],
            env={**environment, "UV_FAILS": "nothing fails", **variables},
            capture_output=True,
            text=True,
        )

    def made_anew(self) -> bool:
        return "venv" in self.calls.read_text()


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_a_second_call_finds_everything_done_and_calls_nothing(project):
    first = project.set_up()
    assert first.returncode == 0, first.stderr
    calls = project.calls.read_text().splitlines()
    assert [line.split()[:2] for line in calls] == [
        ["venv", "--quiet"], ["pip", "sync"], ["pip", "install"]
    ]  # fmt: skip
    assert "--require-hashes" in calls[1]
    assert calls[2].endswith("--editable .")
    second = project.set_up()
    assert (second.returncode, second.stdout) == (0, "set-up is current\n")
    assert project.calls.read_text() == ""


@pytest.mark.parametrize("step", ["venv", "requirements.lock", "--editable"])
def test_a_set_up_that_stopped_is_done_again(project, step):
    stopped = project.set_up(UV_FAILS=step)
    assert stopped.returncode != 0
    assert stopped.stderr.splitlines()[-1].startswith("set-up did not come to its end")
    assert project.set_up().returncode == 0
    assert project.made_anew()


@pytest.mark.parametrize("name", ["requirements.lock", "setup.cfg"])
def test_a_change_of_what_it_was_made_from_brings_it_up_to_date(project, name):
    project.set_up()
    with (project.folder / name).open("a") as file:
        file.write("# changed\n")
    assert project.set_up().returncode == 0
    assert "pip sync" in project.calls.read_text()
    assert not project.made_anew()
    assert project.set_up().stdout == "set-up is current\n"


def test_a_package_cut_short_is_named_and_installed_from_a_clean_cache(project):
    project.set_up()
    (file,) = project.folder.glob(".venv/lib/python3*/site-packages/package.py")
    file.write_text("")
    again = project.set_up()
    assert "damaged, so set up anew: package" in again.stdout
    assert "cache clean --quiet package" in project.calls.read_text()
    assert project.made_anew()


def test_a_failed_import_is_no_finished_set_up(project):
    project.program("uv", UV.replace("touch cv2.py", "echo 1/0 > cv2.py; touch"))
    failed = project.set_up()
    assert failed.returncode != 0
    assert "ZeroDivisionError" in failed.stderr
    assert not (project.folder / ".venv/setup.stamp").exists()


def test_the_python_asked_for_stays(project):
    project.set_up(PYTHON="3.12")
    assert "--python 3.12" in project.calls.read_text()
    assert project.set_up().stdout == "set-up is current\n"
    project.set_up(PYTHON="3.13")
    assert "--python 3.13" in project.calls.read_text()


def test_too_little_disk_is_said_before_anything_is_brought(project):
    project.program("df", "#!/bin/sh\necho header\necho disk 100 98 2097152 2% /\n")
    done = project.set_up()
    assert done.returncode == 1
    assert "needs 9 GB free" in done.stderr
    assert "which has 2 GB" in done.stderr
    assert project.calls.read_text() == ""


def test_without_uv_and_without_pip_one_sentence_says_what_to_install(project):
    (project.bin / "uv").unlink()
    project.program("python3", "#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    wanted = ("sh", "sed", "cat", "sha256sum", "dirname", "flock", "df", "awk")
    for name in wanted:
        (project.bin / name).symlink_to(shutil.which(name) or name)
    done = project.set_up(PATH=str(project.bin))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: there is no uv, and python3 -m pip")


def test_an_unknown_kind_of_mmcv_is_one_sentence(project):
    done = project.set_up(MMCV="fast")
    assert done.stderr == "error: MMCV=fast; give torchvision or compiled\n"
