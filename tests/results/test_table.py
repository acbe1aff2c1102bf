"""``selfpatch table`` on files: what it reads, writes and refuses."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selfpatch.commands import table
from selfpatch.errors import InputError
from selfpatch.results.layouts import LAYOUTS
from tests import ROOT
from tests.results.made import full_scale, result, write


def run(*arguments: object) -> None:
    parser = argparse.ArgumentParser()
    table.add_arguments(parser)
    table.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("whole"), full_scale())


def test_it_prints_what_files_and_folders_hold(folder, capsys):
    run(folder)
    printed = capsys.readouterr().out
    assert printed.startswith("COCO, Mask R-CNN\n")
    assert "Nothing was measured for ablations" in printed
    run(*folder.rglob("results.json"), folder, f"{folder}/")
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("name", table.FORMATS)
def test_it_writes_a_file_whole_and_says_where(folder, tmp_path, capsys, name):
    run(folder, "--format", name, "--layout", "davis")
    printed = capsys.readouterr().out
    run(folder, "--format", name, "--layout", "davis", "--out", tmp_path / "new" / "table")
    assert (tmp_path / "new/table").read_text() == printed
    assert capsys.readouterr().out == f"table: {tmp_path}/new/table\n"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_needs_no_results(layout, capsys):
    run("--layout", layout)
    assert "To fill the dashes" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["--layout", "all"]])
def test_nothing_to_print_is_said(arguments, tmp_path):
    with pytest.raises(InputError, match="run a task first, or name a --layout"):
        run(*arguments)
    with pytest.raises(InputError, match=f"no results.json below {tmp_path}"):
        run(tmp_path, *arguments)


def test_a_copy_of_a_result_is_refused(tmp_path):
    write(tmp_path, [result(), result()])
    with pytest.raises(InputError, match=r"0/results.json and .*1/results.json are two results of"):
        run(tmp_path)


def test_it_imports_no_torch_and_is_done_within_seconds(folder):
    """150 files take 0.9 s here, half of it SciPy's import; a machine may be three times slower."""
    program = (
        "import argparse, sys\n"
        "from selfpatch.commands import table\n"
        "parser = argparse.ArgumentParser(); table.add_arguments(parser)\n"
        "table.run(parser.parse_args(sys.argv[1:]))\n"
        "print(*sys.modules)"
    )
    line = [sys.executable, "-c", program, folder]
    began = time.monotonic()
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert time.monotonic() - began < 5
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "selfpatch.results.layouts" in loaded
    assert not loaded & {"torch", "timm", "mmengine", "matplotlib", "scipy.stats"}


def test_help_begins_with_a_line_and_has_examples():
    first, _, rest = (table.__doc__ or "").partition("\n")
    assert first.endswith(".")
    assert rest.count("    selfpatch table ") >= 3


@pytest.mark.parametrize("content", [None, "no json", "{}", json.dumps({"task": 1})])
def test_the_command_answers_a_bad_file_with_one_sentence(tmp_path, content, programs):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    done = programs.run("-m", "selfpatch", "table", path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
