"""A process that was started by another one -> it ends with that one, however that ends."""

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Let this process of :mod:`multiprocessing` end as soon as its parent has.

    A parent that is killed cannot tell it; it would wait for work for ever, and keep its memory.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
