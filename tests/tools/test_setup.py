"""Set-up: done once, made anew when something changed, never believed when it did not finish.

uv is stood in for by a script that notes how it was called and makes an environment without
packages; that the real one installs the lock is what running this suite shows.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

UV = f"""#!/bin/sh
[ "$1" != --version ] || exec echo uv 99
echo "$@" >> "$UV_CALLS"
case "$*" in *"$UV_FAILS"*) echo "uv: no network" >&2; exit 2 ;; esac
if [ "$1" = venv ]; then
    rm -rf .venv
    "{sys.executable}" -m venv --without-pip .venv
    cd .venv/lib/python3*/site-packages
    mkdir -p mmcv torch package-1.dist-info
    touch cv2.py selfpatch.py
    echo "def get_compiling_cuda_version(): return 13" > mmcv/ops.py
    echo "__version__ = 2" > torch/__init__.py
    echo "is_available = bool" > torch/cuda.py
    echo "x = 1" > package.py
    printf 'Name: package\\nVersion: 1\\n' > package-1.dist-info/METADATA
    printf 'package.py,sha256=abc,6\\n' > package-1.dist-info/RECORD
fi
"""

NEW_UV = """#!/bin/sh
echo "$@" >> "$UV_CALLS"
mkdir -p .uv/bin
sed "s/uv 0.9.7/uv 99/" "$(command -v uv)" > .uv/bin/uv
chmod +x .uv/bin/uv
"""

READ = (
    "tools/setup.sh", "tools/build_backend.py", "selfpatch/hosts/startup.py", "requirements.lock",
    "setup.cfg", "pyproject.toml",
)  # fmt: skip


class Project:
    """A clone with nothing in it but what set-up reads, and the programs it finds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a clone"
        for name in READ:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
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
        return "venv --quiet" in self.calls.read_text()


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
    assert "--editable ." in calls[2]
    assert all("--python .venv/bin/python" in line for line in calls if line.startswith("pip"))
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


@pytest.mark.parametrize("name", READ)
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
    assert "damaged, so set up anew: package-1\n" in again.stdout
    assert "cache clean --quiet package" in project.calls.read_text()
    assert project.made_anew()


@pytest.mark.parametrize("version", [None, "2"])
def test_a_package_that_was_taken_away_or_replaced_is_named_and_brought_back(project, version):
    project.set_up()
    (package,) = project.folder.glob(".venv/lib/python3*/site-packages/package-1.dist-info")
    if version is None:
        shutil.rmtree(package)
    else:
        package.rename(package.with_name(f"package-{version}.dist-info"))
    again = project.set_up()
    assert "damaged, so set up anew: package-1\n" in again.stdout
    assert "cache clean" not in project.calls.read_text()
    assert project.made_anew()


def test_a_package_added_by_hand_is_left_alone(project):
    project.set_up()
    (package,) = project.folder.glob(".venv/lib/python3*/site-packages/package-1.dist-info")
    shutil.copytree(package, package.with_name("added-1.dist-info"))
    assert project.set_up().stdout == "set-up is current\n"


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


def test_what_was_asked_for_stays_when_set_up_is_interrupted(project):
    project.set_up(PYTHON="3.12", MMCV="compiled", UV_FAILS="requirements.lock")
    project.set_up(UV_FAILS="torch==2.11.0")
    calls = project.calls.read_text()
    assert "--python 3.12" in calls
    assert "torch==2.11.0" in calls


def test_what_mmcv_is_compiled_for_is_said_and_decides_which_build_comes_from_the_cache(project):
    caches = []
    for variables in ({}, {"FORCE_CUDA": "1"}, {"TORCH_CUDA_ARCH_LIST": "9.0"}, {}):
        if len(caches) == 3:
            project.program("nvcc", "#!/bin/sh\necho release 13.0\n")
        done = project.set_up(MMCV="compiled", **variables)
        assert "CUDA that mmcv is compiled for: 13\n" in done.stdout
        caches += re.findall(r"--cache-dir \S+", project.calls.read_text())
        (project.folder / ".venv/setup.stamp").unlink()
    assert len(set(caches)) == len(caches) == 4


def test_a_uv_that_is_too_old_is_passed_over(project):
    project.program("uv", UV.replace("uv 99", "uv 0.9.7"))
    project.program("python3", NEW_UV)
    done = project.set_up()
    assert done.returncode == 0, done.stderr
    assert "-m pip install" in project.calls.read_text()
    assert ".uv uv>=0" in project.calls.read_text()
    shutil.rmtree(project.folder / ".venv")
    project.set_up()
    assert "-m pip install" not in project.calls.read_text()


def test_a_second_set_up_says_that_it_waits(project):
    project.program("flock", '#!/bin/sh\n[ "$1" != -n ]\n')  # held at first, free later
    done = project.set_up()
    assert done.returncode == 0
    assert done.stdout.startswith("another set-up works in this folder: waiting for it\n")


def test_a_folder_that_cannot_be_locked_is_no_other_set_up(project):
    project.program("flock", "#!/bin/sh\necho 'No locks available' >&2\nexit 71\n")
    done = project.set_up()
    assert done.returncode == 0
    assert "another set-up" not in done.stdout
    assert "cannot be locked" in done.stderr


def test_another_system_is_refused_in_a_sentence(project):
    project.program("uname", "#!/bin/sh\necho Darwin\n")
    done = project.set_up()
    assert done.returncode == 1
    assert done.stderr.startswith("error: this is Darwin")
    assert len(done.stderr.splitlines()) == 1


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
    wanted = ("sh", "sed", "cat", "sha256sum", "dirname", "flock", "df", "awk", "uname", "mkdir",
              "head", "cut", "sort")  # fmt: skip
    for name in wanted:
        (project.bin / name).symlink_to(shutil.which(name) or name)
    done = project.set_up(PATH=str(project.bin))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: there is no uv ")


def test_an_unknown_kind_of_mmcv_is_one_sentence(project):
    done = project.set_up(MMCV="fast")
    assert done.stderr == "error: MMCV=fast; give torchvision or compiled\n"
