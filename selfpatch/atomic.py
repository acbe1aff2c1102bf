"""Bytes -> a file that is complete or not there, in a folder that one run at a time writes to."""

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}")
"""Names of the files that :func:`atomic_write` has not finished."""


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path`` that replaces it once the block has succeeded.

    Missing parent folders are made. If the block raises, ``path`` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, temporary):
            error.filename = str(path)
        raise


@contextmanager
def one_run_in(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keep a folder to this process, and remove what one that was killed has not finished in it.

    The lock is the system's and ends with the process, however it ends. Where a file system has no
    locks, nothing is kept.

    Raises:
        BlockingIOError: Another process writes to the folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(error.errno, "another run writes to it", str(folder)) from None
        except OSError:
            pass  # a network drive without locks
        else:
            for path in folder.rglob(".*"):
                if TEMPORARY.fullmatch(path.name) and path.is_file():
                    path.unlink()
        yield


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
