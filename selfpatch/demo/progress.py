"""Steps that run -> lines that say what runs, what is left and how long it will take."""

import shutil
import sys
import time
from collections.abc import Sequence

from selfpatch.demo.steps import Running, Step
from selfpatch.results.formats import clock

REPORT_SECONDS = 30
"""Between two lines that say what is running, where the output is no terminal."""


class Progress:
    """One line per event, and what is running and left: a last line on a terminal, else lines."""

    def __init__(self, steps: Sequence[Step], at_once: int) -> None:
        self.live = sys.stdout.isatty()
        self.steps, self.at_once = steps, at_once
        self.began = self.reported = time.monotonic()
        self.pace = 1.0
        """Seconds that finished steps took, per second expected."""

    def say(self, text: str) -> None:
        """Print a line that stays."""
        print(f"\r\033[K{text}" if self.live else text, flush=True)

    def measure(self, taken: dict[str, float]) -> None:
        """Learn the machine's pace from the steps that this run has finished."""
        expected = sum(step.expected for step in self.steps if step.name in taken)
        if expected:
            self.pace = sum(taken.values()) / expected

    def show(self, running: Sequence[Running], num_done: int, waiting: Sequence[Step]) -> None:
        """Rewrite the last line, or print one more every half a minute."""
        now = time.monotonic()
        if not self.live and now - self.reported < REPORT_SECONDS:
            return
        self.reported = now
        names = "; ".join(f"{one.step.name} {clock(now - one.began)}" for one in running)
        left = clock(self.seconds_left(running, waiting, now))
        line = (
            f"  {clock(now - self.began)}  {num_done} of {len(self.steps)} done, about {left} left"
        )
        line += f"; running: {names}"
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{line[:width]}", end="", flush=True)
        else:
            print(line, flush=True)

    def seconds_left(
        self, running: Sequence[Running], waiting: Sequence[Step], now: float
    ) -> float:
        """The steps' expected seconds at this machine's pace, shared out over the processes."""
        of_running = [one.step.expected * self.pace - (now - one.began) for one in running]
        of_waiting = sum(step.expected * self.pace for step in waiting)
        left = [max(0.0, seconds) for seconds in of_running]
        return max([(sum(left) + of_waiting) / self.at_once, *left])

    def clear(self) -> None:
        """Remove the last line."""
        if self.live:
            print("\r\033[K", end="", flush=True)
