"""Names -> what a function makes of each: every one in a process of its own, several at a time."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from threading import current_thread, main_thread
from typing import TypeVar

from selfpatch.parent import end_with_parent

Result = TypeVar("Result")


def num_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def prepare(module: str) -> None:
    """Start the process that others are forked from, unless it runs, and let it import ``module``.

    It is a new one, without what this process has imported or opened, so that forks of it are
    quick and safe.
    """
    multiprocessing.set_forkserver_preload(["__main__", module])
    resource_tracker.ensure_running()  # which would end the block below when it begins
    with uninterrupted():
        forkserver.ensure_running()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block; processes that begin in it never hear of it."""
    came: list[int] = []
    # Python tells its main thread of Ctrl-C and no other; a handler not its own is None to it, and
    # could not be put back.
    told = current_thread() is main_thread() and signal.getsignal(signal.SIGINT) is not None
    # The mask is what those processes inherit; here another thread may still be told.
    handler = told and signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if told:
            signal.signal(signal.SIGINT, handler)
    if came:
        signal.raise_signal(signal.SIGINT)


def each_apart(
    function: Callable[[str], Result], names: Iterable[str], workers: int, module: str
) -> Iterator[tuple[str, Result | None]]:
    """Call a function that can be pickled with each name, ``workers`` at a time.

    A single worker is this process.

    Args:
        function: What is called.
        names: What it is called with.
        workers: Processes at a time.
        module: What the function needs; it is imported once for all processes.

    Yields:
        A name and its result, as they come; None where the process was killed.
    """
    if workers == 1:
        yield from ((name, function(name)) for name in names)
        return
    prepare(module)
    context = multiprocessing.get_context("forkserver")
    waiting = deque(names)
    running: dict[Connection, tuple[str, ForkServerProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                result, target = context.Pipe(duplex=False)
                process = context.Process(target=send, args=(target, function, waiting[0]))
                with uninterrupted():
                    process.start()
                    running[result] = waiting.popleft(), process
                target.close()  # so that the child's end is the only one, and ends with it
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
    target.send(function(name))


def received(result: Connection) -> Result | None:
    """What was sent, or None if it never will be."""
    try:
        return result.recv()
    except EOFError:
        return None
