"""Faults of the machine end a command with a sentence."""

import errno
import os
import subprocess
import sys

import pytest

from selfpatch.atomic import atomic_write, one_run_in
from selfpatch.errors import exit_with_sentence
from tests import ROOT


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "out: the disk is full; free some space, and the same command goes on"),
        (errno.EROFS, "out: the file system is read-only; name another folder"),
        (errno.EACCES, "out: it may not be read or written"),
        (errno.EMFILE, "out: too many files are open; raise the limit"),
        (errno.EXDEV, f"out: {os.strerror(errno.EXDEV)}"),
    ],
)
def test_a_fault_of_the_machine_is_a_sentence_with_its_file(number, sentence, capsys):
    with pytest.raises(SystemExit) as ended, exit_with_sentence():
        raise OSError(number, os.strerror(number), "out")
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: {sentence}")


def test_no_memory_is_a_sentence(capsys):
    with pytest.raises(SystemExit) as ended, exit_with_sentence():
        raise MemoryError
    assert ended.value.code == 2
    assert "not enough memory; lower the batch" in capsys.readouterr().err


def test_an_output_below_a_file_is_a_sentence(tmp_path, capsys):
    (tmp_path / "file").touch()
    with (
        pytest.raises(SystemExit),
        exit_with_sentence(),
        atomic_write(tmp_path / "file/out.json"),
    ):
        pass
    assert "error: " in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
def test_a_full_disk_keeps_what_was_there(tmp_path):
    """Nothing of a file is seen before all of it is written."""
    path = tmp_path / "results.json"
    path.write_text("old")

    def write() -> None:
        with atomic_write(path, "w") as file, open("/dev/full", "w") as full:
            file.write("new")
            full.write("new" * 10_000)

    with pytest.raises(OSError, match="No space left"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_that_has_enough_ends_a_command_quietly():
    program = (
        "from selfpatch.errors import exit_with_sentence\n"
        "with exit_with_sentence():\n"
        "    for line in range(100_000): print(line)\n"
    )
    start = [sys.executable, "-c", program]
    with subprocess.Popen(start, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        assert done.stdout
        assert done.stderr
        assert done.stdout.readline() == b"0\n"
        done.stdout.close()
        assert done.stderr.read() == b""
    assert done.returncode == 0


def test_a_second_run_in_a_folder_is_refused_and_one_after_a_kill_finds_it_clean(tmp_path, capsys):
    program = (
        "import os, signal, sys\nfrom selfpatch.atomic import atomic_write, one_run_in\n"
        f"with one_run_in({str(tmp_path)!r}), atomic_write({str(tmp_path / 'a' / 'x.pth')!r}):\n"
        "    print('here', flush=True)\n    sys.stdin.read()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, **pipes) as first:
        assert first.stdout
        assert first.stdin
        first.stdout.readline()
        with pytest.raises(SystemExit), exit_with_sentence(), one_run_in(tmp_path):
            pass
        assert f"error: {tmp_path}: another run writes to it" in capsys.readouterr().err
        first.stdin.close()
    assert len(list((tmp_path / "a").iterdir())) == 1
    with one_run_in(tmp_path):
        assert list((tmp_path / "a").iterdir()) == []
