"""Videos -> masks, several videos at a time."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import torch

from davis_eval.run import segment, silent
from davis_eval.sequences import LAYOUTS, find_sequence
from davis_eval.settings import Settings
from davis_eval.stamps import Finished, find_finished, mark_finished, stamp
from selfpatch.backbones.file import BackboneInfo
from selfpatch.backbones.loading import load_backbone
from selfpatch.errors import OF_ALL_WORK, InputError, fault
from selfpatch.models.trunks import Trunk
from selfpatch.parent import end_with_parent

KILLED = (
    "one of the processes was killed, perhaps for lack of memory; the same command with fewer"
    " --workers goes on from what is finished"
)


@dataclass(frozen=True)
class Job:
    """What all videos of an evaluation share.

    Attributes:
        folder: Folder of frames and first masks.
        layout: Layout of ``folder``, a key of :data:`davis_eval.sequences.LAYOUTS`.
        weights: Backbone file or checkpoint.
        out: Folder for the masks.
        settings: Settings of features and propagation.
        device: Device of the first process; further ones take the next GPUs in turn.
        overwrite: Whether videos that are finished are done again.
        workers: Number of processes.
    """

    folder: Path
    layout: str
    weights: str
    out: Path
    settings: Settings
    device: str
    overwrite: bool = False
    workers: int = 1


@dataclass(frozen=True)
class Outcome:
    """How it went with one video: done, finished before, or the sentence of what is wrong.

    ``seconds`` are those that the masks took, now or before; ``too_small`` are the objects that won
    no patch.
    """

    name: str
    finished_before: bool = False
    error: str | None = None
    seconds: float = 0.0
    too_small: tuple[str, ...] = ()


class Stopwatch:
    """Frames per second and time left, for one line of a terminal."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Rewrite the line."""
        seconds = time.monotonic() - self.started
        rate = done / seconds
        left = f"{(total - done) / rate:4.0f} s left" if done < total else f"{seconds:4.0f} s"
        line = f"{self.name:<20} {done:4d}/{total} frames  {rate:5.1f}/s  {left}"
        if done == total:
            print(f"\r{line}     ")
        elif sys.stdout.isatty():
            print(f"\r{line}     ", end="", flush=True)


class Worker:
    """One process's backbone, and what it does to a video."""

    def __init__(self, job: Job, backbone: Trunk, info: BackboneInfo) -> None:
        self.job, self.backbone, self.info = job, backbone, info

    def __call__(self, name: str, progress: Callable[[int, int], None] = silent) -> Outcome:
        """Segment one video, unless that was done before."""
        job = self.job
        try:
            sequence = find_sequence(job.folder, name, LAYOUTS[job.layout])
            made_of = stamp(sequence, self.info, job.settings)
            before = None if job.overwrite else find_finished(job.out, sequence, made_of)
            if before is not None:
                return Outcome(name, True, None, before.seconds, before.too_small)
            started = time.monotonic()
            too_small = segment(self.backbone, sequence, job.out, job.settings, progress)
            finished = Finished(time.monotonic() - started, tuple(too_small))
            mark_finished(job.out, sequence, made_of, finished)
        except InputError as error:
            return Outcome(name, error=str(error))
        except OSError as error:
            if error.errno in OF_ALL_WORK:
                raise
            return Outcome(name, error=fault(error))
        except Exception as error:  # whatever it is, it is this video's: the others go on
            return Outcome(name, error=f"{type(error).__name__}: {error}")
        return Outcome(name, seconds=finished.seconds, too_small=finished.too_small)


def segment_all(job: Job, names: Sequence[str], worker: Worker) -> Iterator[Outcome]:
    """Segment videos, in this process or in several that share the cores, or the GPUs.

    ``worker`` is the one of this process; others load a backbone of their own.
    """
    if job.workers == 1:
        yield from (worker(name, Stopwatch(name)) for name in names)
        return
    threads = max(torch.get_num_threads() // job.workers, 1)
    with ProcessPoolExecutor(
        job.workers, multiprocessing.get_context("spawn"), start, (job, threads)
    ) as pool:
        videos = {pool.submit(work, name): name for name in names}
        for done in as_completed(videos):
            try:
                yield done.result()
            except BrokenProcessPool:
                yield Outcome(videos[done], error=KILLED)


_worker: Worker


def start(job: Job, threads: int) -> None:
    """Set up a process of the pool."""
    global _worker
    end_with_parent()
    torch.set_num_threads(threads)
    device = job.device
    if device == "cuda":
        number = multiprocessing.current_process()._identity[-1] - 1
        device = f"cuda:{number % torch.cuda.device_count()}"
    _worker = Worker(job, *load_backbone(job.weights, device))


def work(name: str) -> Outcome:
    """Segment one video in a process of the pool."""
    return _worker(name)
