"""Wheels hold what Python reads when it starts, and say so."""

import csv
import io
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests import ROOT
from tools.build_backend import STARTUP, add_startup

PACKAGES = Path(sysconfig.get_path("purelib"))


def test_a_wheel_gets_the_start_up_files_and_their_records(tmp_path):
    wheel = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a/__init__.py", "x = 1\n")
        archive.writestr("a-1.dist-info/RECORD", "a/__init__.py,sha256=abc,6\n")
    add_startup(wheel)
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert contents["a/__init__.py"] == b"x = 1\n"
    assert contents["selfpatch_startup.py"] == STARTUP.read_bytes()
    assert contents["selfpatch_startup.pth"] == b"import selfpatch_startup\n"
    records = {
        row[0]: row[2] for row in csv.reader(io.StringIO(contents["a-1.dist-info/RECORD"].decode()))
    }
    del contents["a-1.dist-info/RECORD"]
    assert records == {name: str(len(content)) for name, content in contents.items()}
    assert [file.name for file in tmp_path.iterdir()] == [wheel.name]


@pytest.mark.slow
@pytest.mark.skipif(any(PACKAGES.glob("mmcv/_ext.*.so")), reason="mmcv has operators of its own")
def test_a_wheel_brings_mmcv_its_operators(tmp_path):
    project, installed = tmp_path / "project", tmp_path / "installed"
    shutil.copytree(ROOT / "selfpatch", project / "selfpatch")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "tools/build_backend.py"):
        (project / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    build = "import build_backend, sys; build_backend.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, tmp_path],
        cwd=project, env={"PYTHONPATH": "tools"}, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    # Without the environment's own .pth files, among them that of this project.
    program = (
        "import site, sys\n"
        "site.addsitedir(sys.argv[1])\n"
        "sys.path.append(sys.argv[2])\n"
        "import mmcv.ops\n"
        "print(sys.modules['mmcv._ext'].__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, installed, PACKAGES],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(installed / "selfpatch/hosts/mmcv_ext.py")
