"""Steps -> processes: a few at a time, each with a log, none of them twice."""

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from selfpatch.atomic import atomic_write
from selfpatch.errors import InputError

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Step:
    """One command of the demo.

    Attributes:
        name: What it does, in a few words; unique.
        command: The arguments after ``python``, as a user would type them.
        folder: Where it writes; emptied before the command runs.
        output: The file that it must leave.
        inputs: Files and folders that its result depends on.
        after: Names of the steps that have to be finished first.
        environment: Variables to set for the command.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    output: Path
    inputs: tuple[Path, ...] = ()
    after: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def log(self) -> Path:
        """Everything the command prints."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def record(self) -> Path:
        """Which inputs the step is finished for, and how long it took."""
        return self.folder.with_name(f"{self.folder.name}.done.json")

    @property
    def typed(self) -> str:
        """The command line."""
        variables = "".join(f"{name}={shlex.quote(value)} " for name, value in self.environment)
        return variables + shlex.join(("python", *self.command))

    def key(self) -> str:
        """SHA-256 of the command and of all inputs."""
        digest = hashlib.sha256(self.typed.encode())
        for path in self.inputs:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    digest.update(f"{file} {identity(file)}".encode())
        return digest.hexdigest()

    def finished_seconds(self) -> float | None:
        """How long it took, if it is finished for exactly these inputs; else None."""
        try:
            record = json.loads(self.record.read_text())
        except (OSError, ValueError):
            return None
        current = self.output.exists() and record.get("key") == self.key()
        return float(record["seconds"]) if current else None


def identity(file: Path) -> str:
    """What changes when a file does: its content if it is small, else its size and time."""
    facts = file.stat()
    if facts.st_size < 2**16:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    return f"{facts.st_size} {facts.st_mtime_ns}"


@dataclass
class Running:
    """A step's process, when it began, and the key of the inputs as they were then."""

    step: Step
    key: str
    process: subprocess.Popen[bytes]
    began: float


class Terminal:
    """One line per event; on a terminal, a last line that shows what is running."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.began = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        print(f"\r\033[K{text}" if self.live else text, flush=True)

    def show(self, running: Sequence[Running]) -> None:
        """Rewrite the last line."""
        if self.live:
            now = time.monotonic()
            parts = [f"{one.step.name} {clock(now - one.began)}" for one in running]
            line = f"  {clock(now - self.began)}  running: {'; '.join(parts)}"
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K{line[:width]}", end="", flush=True)

    def clear(self) -> None:
        """Remove the last line."""
        if self.live:
            print("\r\033[K", end="", flush=True)


def run_steps(steps: Sequence[Step], at_once: int, threads: int) -> dict[str, float]:
    """Run all steps, as many at once as asked for, each as soon as it can.

    Steps that were finished for the same inputs are not run again. When one fails, the others
    are stopped.

    Args:
        steps: In the order they should start.
        at_once: The most processes at a time.
        threads: That each process may use.

    Returns:
        Seconds per step, those of an earlier run included.

    Raises:
        InputError: A step failed; the sentence names its log.
    """
    terminal, seconds, running = Terminal(), dict[str, float](), list[Running]()
    waiting = list(steps)
    with stopped_at_the_end(running):
        while waiting or running:
            while len(running) < at_once:
                ready = [step for step in waiting if set(step.after) <= set(seconds)]
                if not ready:
                    break
                waiting.remove(ready[0])
                start_or_skip(ready[0], running, seconds, threads, terminal)
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                seconds[one.step.name] = finish(one, terminal)
            terminal.show(running)
            time.sleep(POLL_SECONDS if running else 0)
    terminal.clear()
    return seconds


def start_or_skip(
    step: Step,
    running: list[Running],
    seconds: dict[str, float],
    threads: int,
    terminal: Terminal,
) -> None:
    """Start a step's process, unless it is finished for these inputs."""
    finished = step.finished_seconds()
    if finished is not None:
        seconds[step.name] = finished
        terminal.say(f"  kept   {step.name} (took {clock(finished)})")
        return
    terminal.say(f"  start  {step.name}\n         {step.typed}")
    key = step.key()
    step.record.unlink(missing_ok=True)
    shutil.rmtree(step.folder, ignore_errors=True)
    step.folder.mkdir(parents=True)
    environment = {
        **os.environ,
        **dict(step.environment),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # idle threads leave their core to the data loaders
        "PYTHONUNBUFFERED": "1",
    }
    with step.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *step.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    running.append(Running(step, key, process, time.monotonic()))


def finish(one: Running, terminal: Terminal) -> float:
    """Note that a step has ended; returns its seconds."""
    step, seconds = one.step, time.monotonic() - one.began
    code = one.process.returncode
    if code != 0 or not step.output.exists():
        terminal.clear()
        reason = f"with exit status {code}" if code else f"without writing {step.output}"
        raise InputError(f"the step {step.name!r} ended {reason}; {last_words(step.log)}")
    with atomic_write(step.record, "w") as file:
        json.dump({"key": one.key, "seconds": seconds, "command": step.typed}, file, indent=1)
    terminal.say(f"  done   {step.name} in {clock(seconds)}")
    return seconds


def last_words(log: Path) -> str:
    """The error at the end of a log, and the log's name."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    named = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    said = (named or lines or ["nothing"])[-1].strip()
    return f"its log {log} ends with: {said}"


@contextmanager
def stopped_at_the_end(running: list[Running]) -> Iterator[None]:
    """Stop whatever is still running when the block is left, its worker processes included.

    SIGTERM, with which a time limit ends a process, leaves the block too.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        for one in running:
            with suppress(ProcessLookupError):  # it has just ended by itself
                os.killpg(one.process.pid, signal.SIGTERM)
        for one in running:
            try:
                one.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(one.process.pid, signal.SIGKILL)


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
