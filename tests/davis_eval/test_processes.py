"""A process per name: all are done, whatever becomes of one."""

import os
import signal
import time

import pytest

from davis_eval.processes import each_apart, uninterrupted


def work(name: str) -> str:
    """The name in capitals, but ``die`` kills its process and ``wait`` takes longer."""
    if name == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "wait":
        time.sleep(0.3)
    if name == "signal":
        os.kill(os.getpid(), signal.SIGINT)
    return name.upper()


def test_each_name_has_its_result_and_a_killed_process_none():
    names = ["wait", "die", "a", "b", "die2"]
    expected = {"wait": "WAIT", "die": None, "a": "A", "b": "B", "die2": "DIE2"}
    for workers in (2, 5):
        assert dict(each_apart(work, names, workers, "zlib")) == expected


def test_whoever_is_done_first_comes_first():
    assert [name for name, _ in each_apart(work, ["wait", "a", "b"], 2, "zlib")][-1] == "wait"


def test_a_single_worker_is_this_process():
    assert list(each_apart(lambda name: os.getpid(), ["a", "b"], 1, "zlib")) == [
        ("a", os.getpid()),
        ("b", os.getpid()),
    ]


def test_a_process_leaves_ctrl_c_to_the_one_that_started_it():
    expected = {"signal": "SIGNAL", "a": "A"}
    assert dict(each_apart(work, ["signal", "a"], 2, "zlib")) == expected


def test_ctrl_c_waits_for_the_end_of_what_it_must_not_interrupt():
    done = False
    with pytest.raises(KeyboardInterrupt), uninterrupted():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        done = True
    assert done
