"""Two ways of the same work -> how many times faster one is: both in turns, in one process.

A machine's speed changes from minute to minute, and with it every absolute time. Both ways of a
pair meet the same mood, so the median of the pairs' ratios is what can be compared and quoted.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from selfpatch.atomic import atomic_write
from selfpatch.results.file import device_name
from selfpatch.results.versions import installed_versions

Work = Callable[[], object]


@dataclass(frozen=True)
class Turns:
    """Seconds of each run, in pairs: ``ours[i]`` and ``textbook[i]`` ran one after the other."""

    ours: tuple[float, ...]
    textbook: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How many times as fast ours is: the median over the pairs."""
        return statistics.median(t / o for o, t in zip(self.ours, self.textbook, strict=True))

    @property
    def seconds(self) -> tuple[float, float]:
        """Medians of ours and of the textbook's way."""
        return statistics.median(self.ours), statistics.median(self.textbook)


def in_turns(ours: Work, textbook: Work, pairs: int, device: str = "cpu") -> Turns:
    """Time both ways ``pairs`` times, after one run of each that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for pair in range(pairs + 1):
        # Whoever comes second finds warm caches and a hot processor: they take turns in that, too.
        for which in (0, 1) if pair % 2 else (1, 0):
            spent = seconds_of((ours, textbook)[which], device)
            if pair:
                times[which].append(spent)
    return Turns(tuple(times[0]), tuple(times[1]))


def seconds_of(work: Work, device: str = "cpu") -> float:
    """Wall time of one run, until the device has done all of it."""
    wait = torch.cuda.synchronize if torch.device(device).type == "cuda" else (lambda: None)
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started


def flops(work: Work) -> int:
    """Floating-point operations of the matrix products of one run; one multiply-add is two."""
    counter = FlopCounterMode(display=False)
    with counter:
        work()
    return int(counter.get_total_flops())


def matmul_rate(device: str = "cpu", dtype: torch.dtype = torch.float32, size: int = 2048) -> float:
    """FLOP/s of a large square matrix product, the best of ten: what the device can do at most."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    torch.mm(a, b)
    return 2 * size**3 / min(seconds_of(lambda: torch.mm(a, b), device) for _ in range(10))


def peak_mib(function: Callable[..., object], *args: object) -> float:
    """Most memory, in MiB, that a process of its own takes for ``function(*args)``.

    ``function`` is one that can be pickled. On a GPU it is what torch allocates there.
    """
    with get_context("spawn").Pool(1) as pool:
        return float(pool.apply(_peak_of, (function, *args)))


def _peak_of(function: Callable[..., object], *args: object) -> float:
    function(*args)
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    # Linux counts getrusage's peak on from the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**10


def add_arguments(parser: argparse.ArgumentParser, pairs: int) -> None:
    """Add what all benchmarks take."""
    parser.add_argument("--device", default="cpu", help="such as cuda")
    parser.add_argument("--pairs", type=int, default=pairs, help="counted runs of each way")
    parser.add_argument("--json", type=Path, help="file for the figures")


def report(columns: Sequence[str], rows: Sequence[Sequence[Any]], args: argparse.Namespace) -> None:
    """Print a Markdown table; with ``--json`` write it to a file, with what was measured on."""
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for row in rows:
        print("| " + " | ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row) + " |")
    machine = {
        "device": args.device,
        "name": device_name(),
        "threads": torch.get_num_threads(),
        "versions": installed_versions(),
    }
    print(f"\n{args.device} of {machine['name']}, {machine['threads']} threads", flush=True)
    if args.json:
        options = {name: str(value) for name, value in vars(args).items()}
        content = {"machine": machine, "options": options, "columns": columns, "rows": rows}
        with atomic_write(args.json, "w") as file:
            json.dump(content, file, indent=1)
