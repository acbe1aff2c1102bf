"""A plan -> results, table and report: everything that is not finished is run, by Snakemake."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from selfpatch.bench.jobs import (
    Batch,
    Job,
    expected_seconds,
    is_done,
    seconds_of,
    write_batch,
)
from selfpatch.errors import InputError
from selfpatch.results.file import read_results
from selfpatch.results.formats import clock

SNAKEFILE = Path(__file__).with_name("Snakefile")


LAST_LINES = 8
"""How much of a log is quoted that names no error."""


def run_jobs(work_dir: Path, jobs: list[Job], at_once: int, further: Sequence[str]) -> str:
    """Run what is not finished, and what is finished for other inputs.

    Args:
        work_dir: Where everything lies.
        jobs: See :func:`selfpatch.bench.jobs.jobs_of`.
        at_once: Jobs at a time; they share the cores of this machine.
        further: Arguments of Snakemake, such as ``--executor slurm``.

    Returns:
        What did not end well: each job that failed with the end of its log; nothing if all did.
    """
    if importlib.util.find_spec("snakemake") is None:
        raise InputError("snakemake is not installed; `pip install 'selfpatch[bench]'` brings it")
    cores = len(os.sched_getaffinity(0))
    on_cluster = any(name.split("=")[0] in ("--executor", "-e", "--profile") for name in further)
    threads = 4 if on_cluster else max(cores // at_once, 1)
    work_dir.mkdir(parents=True, exist_ok=True)
    write_batch(work_dir / "jobs.json", Batch(jobs, threads, on_cluster, str(Path.cwd())))
    remove_damaged(work_dir, jobs)
    line = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)]
    line += ["--directory", str(work_dir), "--quiet", "all", "--keep-going", "--rerun-incomplete"]
    line += ["--nolock"]  # it would stay behind a killed run; the folder's own lock does not
    line += ["--rerun-triggers", "mtime", "params", "input", "--scheduler", "greedy"]
    line += ["--jobs", str(at_once)] if on_cluster else ["--cores", str(threads * at_once)]
    if not on_cluster:
        line += ["--resources", f"gpu={check_gpus(jobs)}"]
    with subprocess.Popen([*line, *further]) as running:
        try:
            status = running.wait()
        except KeyboardInterrupt:  # which Snakemake has got, too: it ends its jobs
            running.wait()
            raise
    failed = [job for job in jobs if not is_done(work_dir, job)]
    return said(work_dir, failed) if failed else ended_badly(status)


def ended_badly(status: int) -> str:
    """What is to say of Snakemake's own exit status."""
    return f"snakemake ended with exit status {status}, see above" if status else ""


def check_gpus(jobs: Sequence[Job]) -> int:
    """How many GPUs the jobs share out; raises InputError where one asks for more."""
    count = len(visible_gpus())
    for job in jobs:
        if job.resources.gpus > count:
            raise InputError(
                f"{job.name} asks for {job.resources.gpus} GPUs, and this machine has {count};"
                f" say --gpus {count} --processes {max(count, 1)}, or run it on a cluster"
            )
    return count


def visible_gpus() -> list[str]:
    """The GPUs that this plan may use, as CUDA_VISIBLE_DEVICES names them."""
    if (stated := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [number for number in stated.split(",") if number]
    return [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]


def remove_damaged(work_dir: Path, jobs: Sequence[Job]) -> None:
    """Remove what cannot be read or is of other inputs than now, so that it is made again."""
    for job in jobs:
        path = work_dir / job.output
        if path.exists() and not is_done(work_dir, job):
            path.unlink()
        if path.name == "results.json" and path.exists():
            try:
                read_results([path])
            except InputError as error:
                print(f"  again  {job.name}: {error}", flush=True)
                path.unlink()


def said(work_dir: Path, failed: Sequence[Job]) -> str:
    """What did not end well: the jobs that failed with their last words, and those behind them."""
    behind = [j for j in failed if any(need in {f.output for f in failed} for need in j.needs)]
    own = [job for job in failed if job not in behind]
    parts = [f"{job.name} failed; {last_words(work_dir / f'{job.folder}.log')}" for job in own]
    if behind:
        parts.append(f"not begun for that: {', '.join(job.name for job in behind)}")
    return f"{len(failed)} of the jobs are not done: " + "; ".join(parts)


def last_words(log: Path) -> str:
    """The error at the end of a log, or its last lines if it names none, and the log's name."""
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return f"it left no log {log}"
    named = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if named or not lines:
        return f"its log {log} ends with: {named[-1].strip() if named else 'nothing'}"
    return "\n    ".join([f"its log {log} ends with:", *lines[-LAST_LINES:]]) + "\n "


def listed(work_dir: Path, jobs: Sequence[Job]) -> str:
    """The jobs, what each needs and how long it took or will take, and what all that are left will.

    A job is thought to take as long as those of its kind that are done.
    """
    names = {job.output: job.name for job in jobs}
    expected = expected_seconds(work_dir, jobs)
    lines, done, left = [], set[str](), list[Job]()
    for job in jobs:
        needs = f" after {', '.join(names[need] for need in job.needs)}" if job.needs else ""
        seconds = seconds_of(work_dir, job) if done.issuperset(job.needs) else None
        if seconds is None:
            left.append(job)
            lines.append(f"  to do  {job.name}{needs}{asked(job, expected.get(job.kind))}")
        else:
            done.add(job.output)
            lines.append(f"  done   {job.name}{needs}; took {clock(seconds)}")
    known = [expected[job.kind] for job in left if job.kind in expected]
    if known:
        unknown = f", and {len(left) - len(known)} jobs of unknown length" * (
            len(known) < len(left)
        )
        lines.append(f"left: {clock(sum(known))} of computing{unknown}")
    return "\n".join(lines)


def asked(job: Job, seconds: float | None) -> str:
    """What a job asks for, and how long it will take if that is known."""
    wanted = job.resources
    parts = [f"about {clock(seconds)}"] if seconds is not None else []
    parts += [f"{wanted.processes} processes"] * (wanted.processes > 1)
    parts += [f"{wanted.gpus} GPUs"] * (wanted.gpus > 0)
    parts += [f"at most {wanted.minutes / 60:.1f} h"] * (wanted.minutes > 0)
    return f"; {', '.join(parts)}" if parts else ""
