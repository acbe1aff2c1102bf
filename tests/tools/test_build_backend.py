"""Wheels hold what Python reads when it starts, and say so."""

import csv
import io
import zipfile

from tools.build_backend import STARTUP, add_startup


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
