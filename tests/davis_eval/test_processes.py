"""A process per name: all are done, whatever becomes of one."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from davis_eval.processes import each_apart, uninterrupted


def work(name: str) -> str:
    """The name in capitals; ``die`` kills its process, ``wait`` waits for a file of ``make``."""
    if name == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    action, _, path = name.partition(" ")
    if action == "make":
        Path(path).touch()
    while action == "wait" and not Path(path).exists():
        time.sleep(0.01)
    if name == "signal":
        os.kill(os.getpid(), signal.SIGINT)
    return name.upper()


def test_each_name_has_its_result_and_a_killed_process_none():
    expected = {"a": "A", "die": None, "b": "B", "c": "C"}
    for workers in (2, 5):
        assert dict(each_apart(work, expected, workers, "zlib")) == expected


def test_several_are_at_work_at_once_and_whoever_is_done_first_comes_first(tmp_path):
    names = [f"wait {tmp_path}/x", "a", f"make {tmp_path}/x"]
    order = [name for name, _ in each_apart(work, names, 2, "zlib")]
    assert order.index("a") < order.index(names[0])
    assert len(order) == 3


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


def test_a_thread_that_is_not_the_main_one_may_ask_for_it_too():
    """Only the main thread hears of Ctrl-C; processes that this one begins still do not."""
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(lambda: dict(each_apart(work, ["signal", "a"], 2, "zlib"))).result()
    assert found == {"signal": "SIGNAL", "a": "A"}


def test_a_handler_that_is_not_pythons_stays(monkeypatch):
    """Python gives None for it, and takes no None back."""
    put: list[object] = []
    with monkeypatch.context() as patched:
        patched.setattr(signal, "getsignal", lambda number: None)
        patched.setattr(signal, "signal", lambda number, handler: put.append(handler))
        with uninterrupted():
            pass
    assert put == []
