"""A process that was started by another one -> it ends with that one, however that ends.

A parent that is killed can tell nobody. Its data loaders wait for ever where the pipe to it is
full, and so do the workers of a pool, and keep their memory.
"""

import multiprocessing
import os
import select
import threading
from collections.abc import Callable


def end_with_parent() -> None:
    """Let this process of :mod:`multiprocessing` end as soon as its parent has."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        end_after(parent.join)


def end_with_starter(before: Callable[[], object] = lambda: None) -> None:
    """Let this process end as soon as the one that started it has; first, ``before`` is called."""
    handle = os.pidfd_open(os.getppid())

    def wait() -> None:
        select.select([handle], [], [])
        before()

    end_after(wait)


def end_forks_with_this_process() -> None:
    """Let every fork of this process, such as data loaders', end as soon as this one has."""
    pid = os.getpid()

    def follow() -> None:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            os._exit(1)
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        end_after(poll.poll)

    os.register_at_fork(after_in_child=follow)


def end_after(waiting: Callable[[], object]) -> None:
    """End this process when ``waiting`` returns, which it does in a thread of its own."""

    def wait() -> None:
        waiting()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
