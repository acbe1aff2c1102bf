"""Steps -> processes: a few at a time, each with a log, none of them twice.

Each step runs in a process of its own, forked from one that has imported torch and OpenMMLab
already, so that twelve steps start as fast as one.
"""

import json
import multiprocessing
import os
import runpy
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path

from selfpatch.atomic import atomic_write
from selfpatch.demo.progress import Progress
from selfpatch.demo.steps import Running, Step
from selfpatch.errors import InputError
from selfpatch.parent import end_with_parent
from selfpatch.results.formats import clock

POLL_SECONDS = 0.2

FORKED = multiprocessing.get_context("forkserver")


def import_once() -> None:
    """Start the process from which all others are forked, unless it runs already.

    It imports while others work.

    What the imports print belongs to no step and is dropped; should one fail, each step says so.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads yield to data loaders
    os.environ.setdefault(
        "PYTORCH_NVML_BASED_CUDA_CHECK", "1"
    )  # forks could not use CUDA begun here
    FORKED.set_forkserver_preload(["__main__", "selfpatch.demo.imported"])
    sys.stdout.flush()
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        forkserver.ensure_running()
    finally:
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (*kept, nowhere):
            os.close(descriptor)


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
    import_once()
    progress, seconds, running = Progress(steps, at_once), dict[str, float](), list[Running]()
    waiting, taken = list(steps), dict[str, float]()
    with stopped_at_the_end(running):
        while waiting or running:
            while len(running) < at_once:
                ready = [step for step in waiting if set(step.after) <= set(seconds)]
                if not ready:
                    break
                waiting.remove(ready[0])
                start_or_skip(ready[0], running, seconds, threads, progress)
            for one in [one for one in running if one.process.exitcode is not None]:
                running.remove(one)
                seconds[one.step.name] = taken[one.step.name] = finish(one, progress)
                progress.measure(taken)
            if running:
                progress.show(running, len(seconds), waiting)
                time.sleep(POLL_SECONDS)
    progress.clear()
    return seconds


def start_or_skip(
    step: Step,
    running: list[Running],
    seconds: dict[str, float],
    threads: int,
    progress: Progress,
) -> None:
    """Start a step's process, unless it is finished for these inputs."""
    finished = step.finished_seconds()
    if finished is not None:
        seconds[step.name] = finished
        progress.say(f"  kept   {step.name} (took {clock(finished)})")
        return
    progress.say(f"  start  {step.name}\n         {step.typed}")
    key = step.key()
    step.record.unlink(missing_ok=True)
    shutil.rmtree(step.folder, ignore_errors=True)
    step.folder.mkdir(parents=True)
    environment = {
        **dict(step.environment),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }
    process = FORKED.Process(target=be, args=(step.command, environment, str(step.log)))
    process.start()
    running.append(Running(step, key, process, time.monotonic()))


def be(command: Sequence[str], environment: dict[str, str], log: str) -> None:
    """Turn this process into ``python *command``: its output in a log, its group its own."""
    os.setsid()
    end_with_parent()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(output, stream.fileno())
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ.update(environment)
    multiprocessing.set_start_method(None, force=True)  # the command's own processes: as ever
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the fork server ignores it
    if "torch" in sys.modules:  # it has read its number of threads when it was imported
        sys.modules["torch"].set_num_threads(int(environment["OMP_NUM_THREADS"]))
    if command[0] == "-m":
        sys.argv = [command[1], *command[2:]]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(command)
        runpy.run_path(command[0], run_name="__main__")


def finish(one: Running, progress: Progress) -> float:
    """Note that a step has ended; returns its seconds."""
    step, seconds = one.step, time.monotonic() - one.began
    code = one.process.exitcode
    if code != 0 or not step.output.exists():
        progress.clear()
        reason = f"with exit status {code}" if code else f"without writing {step.output}"
        raise InputError(f"the step {step.name!r} ended {reason}; {last_words(step.log)}")
    with atomic_write(step.record, "w") as file:
        json.dump({"key": one.key, "seconds": seconds, "command": step.typed}, file, indent=1)
    progress.say(f"  done   {step.name} in {clock(seconds)}")
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
            stop(one.process, signal.SIGTERM)
        for one in running:
            one.process.join(timeout=10)
            if one.process.is_alive():
                stop(one.process, signal.SIGKILL)


def stop(process: BaseProcess, number: int) -> None:
    """Send a signal to a process and to what it started, unless it has just ended by itself."""
    assert process.pid is not None
    with suppress(ProcessLookupError):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:  # it leads no group yet
            os.kill(process.pid, number)
