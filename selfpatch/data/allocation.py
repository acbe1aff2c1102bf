"""Memory that a process frees -> memory that it takes next."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Settings of glibc's ``mallopt``, by the numbers of its ``malloc.h``."""


def keep_freed_memory(_worker: int = 0) -> None:
    """Let this process keep up to 256 MiB of what it frees; a loader's ``worker_init_fn``.

    glibc gives blocks as large as a view back to the system at once and is handed cleared pages for
    the next one, which takes longer than most operations on a view. Where there is another C
    library nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(TRIM_THRESHOLD, 2**28)
    mallopt(MMAP_THRESHOLD, 2**25)
