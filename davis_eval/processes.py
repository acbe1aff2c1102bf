"""Names -> what a function makes of each: every one in a process of its own, several at a time."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import TypeVar

from selfpatch.parent import end_with_parent

Result = TypeVar("Result")


def num_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def prepare(module: str) -> None:
    """Start the process that others are forked from, so that it imports ``module`` meanwhile.

    It is a new one, without what this process has imported or opened, so that forks of it are
    quick and safe.
    """
    multiprocessing.set_forkserver_preload(["__main__", module])
    forkserver.ensure_running()


def each_apart(
    function: Callable[[str], Result], names: Iterable[str], workers: int
) -> Iterator[tuple[str, Result | None]]:
    """Call a function that can be pickled with each name, ``workers`` at a time.

    A single worker is this process.

    Yields:
        A name and its result, as they come; None where the process was killed.
    """
    if workers == 1:
        yield from ((name, function(name)) for name in names)
        return
    context = multiprocessing.get_context("forkserver")
    waiting = deque(names)
    running: dict[Connection, tuple[str, ForkServerProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                result, target = context.Pipe(duplex=False)
                process = context.Process(target=send, args=(target, function, waiting[0]))
                process.start()
                target.close()  # so that the child's end is the only one, and ends with it
                running[result] = waiting.popleft(), process
            ready = wait(list(running))
            for result in [result for result in running if result in ready]:
                name, process = running.pop(result)
                yield name, received(result)
                process.join()
    finally:
        for _, process in running.values():
            process.kill()


def send(target: Connection, function: Callable[[str], Result], name: str) -> None:
    """What a process does."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is for the first process to answer
    target.send(function(name))


def received(result: Connection) -> Result | None:
    """What was sent, or None if it never will be."""
    try:
        return result.recv()
    except EOFError:
        return None
