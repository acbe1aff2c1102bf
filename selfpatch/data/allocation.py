"""Memory that a process frees -> memory that it takes next."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Settings of glibc's ``mallopt``, by the numbers of its ``malloc.h``."""


def keep_freed_memory(most: int) -> None:
    """Let this process keep up to ``most`` bytes, below 2 GiB, of what it frees.

    glibc gives blocks as large as a view back to the system at once and is handed cleared pages for
    the next one, which takes longer than most operations on a view. Blocks above 32 MiB it always
    gives back. Where there is another C library nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(TRIM_THRESHOLD, most)
    mallopt(MMAP_THRESHOLD, 2**25)


def start_worker(_number: int) -> None:
    """What a loader's worker begins with."""
    keep_freed_memory(2**28)
