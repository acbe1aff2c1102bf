"""What runs, what is left and how long it will take, worked by hand."""

import time
from pathlib import Path

from selfpatch.demo.progress import REPORT_SECONDS, Progress
from selfpatch.demo.steps import Running, Step


def step(name: str, expected: float) -> Step:
    return Step(name, (), Path(name), Path(name), expected=expected)


FIRST, SECOND, THIRD = STEPS = [step("first", 10), step("second", 20), step("third", 40)]


def begun(step, seconds_ago):
    return Running(step, "key", None, time.monotonic() - seconds_ago)


def test_what_is_left_is_shared_out_over_the_processes_at_the_machines_pace():
    progress, now = Progress(STEPS, at_once=2), time.monotonic()
    running = [Running(SECOND, "key", None, now - 4)]
    assert progress.seconds_left(running, [THIRD], now) == (16 + 40) / 2
    progress.measure({"first": 15.0})  # expected: 10
    assert progress.seconds_left(running, [THIRD], now) == (26 + 60) / 2


def test_no_less_is_left_than_the_longest_step_that_runs():
    progress, now = Progress(STEPS, at_once=2), time.monotonic()
    overdue, running = Running(FIRST, "key", None, now - 99), Running(THIRD, "key", None, now - 10)
    assert progress.seconds_left([overdue, running], [], now) == 30


def test_a_file_gets_a_line_every_half_a_minute(capsys):
    progress = Progress(STEPS, at_once=2)
    progress.began -= 65
    progress.show([begun(SECOND, 4)], 1, [THIRD])
    assert capsys.readouterr().out == ""
    progress.reported -= REPORT_SECONDS
    for _ in range(2):
        progress.show([begun(SECOND, 4)], 1, [THIRD])
    assert capsys.readouterr().out == (
        "  1:05  1 of 3 done, about 0:28 left; running: second 0:04\n"
    )


def test_a_terminal_has_one_last_line_that_fits(capsys, monkeypatch):
    progress = Progress(STEPS, at_once=2)
    progress.live = True
    monkeypatch.setenv("COLUMNS", "40")
    progress.show([begun(SECOND, 4)], 1, [THIRD])
    progress.say("done")
    shown, said = capsys.readouterr().out.split("\r\033[K")[1:]
    assert shown == "  0:00  1 of 3 done, about 0:28 left; r"
    assert said == "done\n"
