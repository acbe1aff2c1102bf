"""Steps run once, in order, a few at a time; a failure names its log."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from selfpatch.demo.processes import run_steps
from selfpatch.demo.progress import clock
from selfpatch.demo.steps import Step
from selfpatch.errors import InputError
from tests import ROOT


def step(folder: Path, name: str, code: str, **changes) -> Step:
    output = folder / name / "out.txt"
    program = folder / f"{name}.py"
    program.write_text(f"import pathlib, time\nout = pathlib.Path({str(output)!r})\n{code}")
    fields = dict(name=name, command=(str(program),), folder=folder / name, output=output)
    return Step(**{**fields, **changes})


WRITE = "out.write_text('x')"
COUNT = "log = out.parents[1] / 'count'\nlog.open('a').write('x')\n" + WRITE


def test_a_step_runs_and_leaves_its_log_and_output(tmp_path, capsys):
    one = step(tmp_path, "one", "print(6 * 7)\n" + WRITE)
    seconds = run_steps([one], at_once=1, threads=1)
    assert set(seconds) == {"one"}
    assert one.output.read_text() == "x"
    assert one.log.read_text() == "42\n"
    printed = capsys.readouterr().out
    assert one.typed in printed
    assert "42" not in printed


def test_a_finished_step_is_not_run_again(tmp_path):
    for _ in range(2):
        seconds = run_steps([step(tmp_path, "one", COUNT)], at_once=1, threads=1)
    assert (tmp_path / "count").read_text() == "x"
    assert seconds["one"] > 0


@pytest.mark.parametrize("change", ["input", "command", "output"])
def test_a_step_runs_again_when_something_changed(tmp_path, change):
    (tmp_path / "input").mkdir()
    source = tmp_path / "input" / "a.txt"
    source.write_text("before")
    first = step(tmp_path, "one", COUNT, inputs=(source.parent,))
    run_steps([first], at_once=1, threads=1)
    second = first
    if change == "input":
        source.write_text("after!")
    elif change == "command":
        second = replace(first, command=(*first.command, "--again"))
    else:
        first.output.unlink()
    run_steps([second], at_once=1, threads=1)
    assert (tmp_path / "count").read_text() == "xx"


def test_a_step_whose_input_changed_meanwhile_runs_again(tmp_path):
    source = tmp_path / "a.txt"
    source.write_text("before")
    code = f"pathlib.Path({str(source)!r}).write_text('meanwhile')\n" + COUNT
    one = step(tmp_path, "one", code, inputs=(source,))
    run_steps([one], at_once=1, threads=1)
    run_steps([one], at_once=1, threads=1)
    run_steps([one], at_once=1, threads=1)
    assert (tmp_path / "count").read_text() == "xx"


def test_an_interrupted_step_is_not_believed(tmp_path):
    one = step(tmp_path, "one", COUNT)
    run_steps([one], at_once=1, threads=1)
    one.record.write_text(one.record.read_text()[:10])
    run_steps([one], at_once=1, threads=1)
    assert (tmp_path / "count").read_text() == "xx"


def test_a_step_waits_for_those_before_it(tmp_path):
    copy = f"out.write_text(pathlib.Path({str(tmp_path / 'one' / 'out.txt')!r}).read_text())"
    second = step(tmp_path, "two", copy, after=("one",))
    first = step(tmp_path, "one", "time.sleep(0.3)\n" + WRITE)
    run_steps([second, first], at_once=2, threads=1)
    assert second.output.read_text() == "x"


def test_steps_run_side_by_side(tmp_path):
    # Each waits for the other to have begun: one after the other would never end.
    code = (
        "(out.parents[1] / 'begun_{0}').touch()\n"
        "while not (out.parents[1] / 'begun_{1}').exists(): time.sleep(0.01)\n" + WRITE
    )
    pair = [step(tmp_path, a, code.format(a, b)) for a, b in [("one", "two"), ("two", "one")]]
    assert set(run_steps(pair, at_once=2, threads=1)) == {"one", "two"}


def test_every_process_gets_its_share_of_threads(tmp_path):
    code = "import os\nout.write_text(os.environ['OMP_NUM_THREADS'])"
    one = step(tmp_path, "one", code)
    run_steps([one], at_once=1, threads=3)
    assert one.output.read_text() == "3"


def test_a_failure_is_one_sentence_that_names_the_log_and_the_error(tmp_path):
    code = "print('error: the disk is full')\nprint('bye')\nraise SystemExit(3)"
    one = step(tmp_path, "one", code)
    with pytest.raises(InputError) as caught:
        run_steps([one], at_once=1, threads=1)
    message = str(caught.value)
    assert "exit status 3" in message
    assert str(one.log) in message
    assert "the disk is full" in message


def test_a_step_that_writes_nothing_has_failed(tmp_path):
    with pytest.raises(InputError, match="without writing"):
        run_steps([step(tmp_path, "one", "pass")], at_once=1, threads=1)


def test_a_failure_stops_the_others(tmp_path):
    pid = tmp_path / "pid"
    slow = step(
        tmp_path,
        "slow",
        f"import os\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\ntime.sleep(60)",
    )
    bad = step(
        tmp_path,
        "bad",
        f"while not pathlib.Path({str(pid)!r}).exists(): time.sleep(0.01)\nraise SystemExit(1)",
    )
    began = time.monotonic()
    with pytest.raises(InputError, match="'bad'"):
        run_steps([slow, bad], at_once=2, threads=1)
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_terminated_run_takes_its_steps_along(tmp_path):
    pid = tmp_path / "pid"
    code = f"import os, signal\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
    end = f"os.kill({os.getpid()}, signal.SIGTERM)\ntime.sleep(60)"
    with pytest.raises(SystemExit) as caught:
        run_steps([step(tmp_path, "one", code + end)], at_once=1, threads=1)
    assert caught.value.code == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_what_was_finished_before_a_failure_is_kept(tmp_path):
    first, bad = step(tmp_path, "one", COUNT), step(tmp_path, "bad", "raise SystemExit(1)")
    for _ in range(2):
        with pytest.raises(InputError, match="'bad'"):
            run_steps([first, bad], at_once=1, threads=1)
    assert (tmp_path / "count").read_text() == "x"


def test_times_read_like_a_clock():
    assert [clock(seconds) for seconds in (0.4, 61, 3725)] == ["0:00", "1:01", "1:02:05"]


def test_an_import_that_fails_is_left_to_the_step_that_needs_it(tmp_path):
    (tmp_path / "torch.py").write_text("1 / 0")
    program = (
        "import pathlib, sys\n"
        "from selfpatch.demo.processes import run_steps\n"
        "from tests.demo.test_steps import WRITE, step\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "steps = [step(folder, 'one', WRITE), step(folder, 'two', 'import torch')]\n"
        "run_steps(steps, at_once=1, threads=1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "done   one" in done.stdout
    assert done.stderr.splitlines()[-1].endswith("ZeroDivisionError: division by zero")
