"""What set-up says, and how it ends when it cannot go on."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

NUM_STEPS = 6


class SetupError(Exception):
    """One sentence: what is missing and what to do about it."""


def say(line: str) -> None:
    """Print one line at once, also into a pipe."""
    print(line, flush=True)


@contextmanager
def step(number: int, title: str, expected: str = "seconds") -> Iterator[None]:
    """Announce a step with the time it should take, and say afterwards how long it took."""
    say(f"[{number}/{NUM_STEPS}] {title} ({expected})")
    start = time.monotonic()
    yield
    say(f"      done in {duration(time.monotonic() - start)}")


def duration(seconds: float) -> str:
    """Seconds -> ``0.4 s`` or ``3 min 20 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def clock(seconds: float) -> None:
    """On a terminal, show that something is still running."""
    if sys.stdout.isatty():
        print(f"\r      {duration(seconds)} ", end="", flush=True)


def clear_clock() -> None:
    """Take :func:`clock`'s line away again."""
    if sys.stdout.isatty():
        print("\r" + " " * 30 + "\r", end="", flush=True)
