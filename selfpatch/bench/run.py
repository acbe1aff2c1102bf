"""A plan -> results, table and report: everything that is not finished is run, by Snakemake."""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from selfpatch.bench.finished import expected_seconds, is_done, key_now, seconds_of, set_aside
from selfpatch.bench.jobs import Batch, Job, write_batch
from selfpatch.errors import InputError
from selfpatch.results.file import read_results
from selfpatch.results.formats import clock

SNAKEFILE = Path(__file__).with_name("Snakefile")
LAST_LINES = 8
"""How much of a log is quoted that names no error."""


def run_jobs(work_dir: Path, jobs: list[Job], at_once: int | None, further: Sequence[str]) -> str:
    """Run what is not finished, and what is finished for other inputs.

    Args:
        work_dir: Where everything lies.
        jobs: See :func:`selfpatch.bench.jobs.jobs_of`.
        at_once: Jobs at a time, which share the cores of this machine; 2 if left out, unless a
            profile says.
        further: Arguments of Snakemake, such as ``--executor slurm``.

    Returns:
        What did not end well: each job that failed with the end of its log; nothing if all did.
    """
    if importlib.util.find_spec("snakemake") is None:
        raise InputError("snakemake is not installed; `pip install 'selfpatch[bench]'` brings it")
    if any(option in further for option in ("-n", "--dry-run", "--dryrun")):
        raise InputError("say --dry-run in front of --, where it lists the jobs")
    cores = len(os.sched_getaffinity(0))
    on_cluster = any(name.split("=")[0] in ("--executor", "-e", "--profile") for name in further)
    threads = 4 if on_cluster else max(cores // (at_once or 2), 1)
    gpus = 0 if on_cluster else check_gpus(jobs)
    write_batch(work_dir / "jobs.json", Batch(jobs, threads, on_cluster, str(Path.cwd())))
    clear_the_way(work_dir, jobs)
    began = time.time()
    line = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE)]
    line += ["--directory", str(work_dir), "--quiet", "all", "--keep-going", "--rerun-incomplete"]
    line += ["--nolock"]  # it would stay behind a killed run; the folder's own lock does not
    line += ["--rerun-triggers", "mtime", "params", "input", "--scheduler", "greedy"]
    if not on_cluster:
        line += ["--cores", str(threads * (at_once or 2)), "--resources", f"gpu={gpus}"]
    elif at_once or "--profile" not in " ".join(further):
        line += ["--jobs", str(at_once or 2)]
    log = work_dir / "snakemake.log"
    with open(log, "w") as errors, subprocess.Popen([*line, *further], stderr=errors) as running:
        try:
            status = running.wait()
        except KeyboardInterrupt:  # which Snakemake has got, too: it ends its jobs
            running.wait()
            raise
    failed = [job for job in jobs if not is_done(work_dir, job)]
    if any(was_begun(work_dir, job, began) for job in failed):
        return said(work_dir, failed, began)
    if failed or status:
        lines = log.read_text(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "nothing")
        return f"snakemake began no job; its log {log} ends with: {last.strip()}"
    return ""


def was_begun(work_dir: Path, job: Job, moment: float) -> bool:
    """Whether a job has written to its log since a moment."""
    log = work_dir / f"{job.folder}.log"
    return log.exists() and log.stat().st_mtime >= moment - 2


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
        numbers = [number.strip() for number in stated.split(",")]
        return [number for number in numbers if number and not number.startswith("-")]
    return [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]


def clear_the_way(work_dir: Path, jobs: Sequence[Job]) -> None:
    """Set aside what was made of other inputs than now, and remove results that cannot be read.

    Snakemake would remove an old output when its job begins. One whose backbone is to be made
    again by the same command stays: its weights may come out equal.
    """
    moved: set[str] = set()
    for job in jobs:
        path = work_dir / job.output
        if not path.exists():
            continue
        if key_now(work_dir, job) is None and not moved.intersection(job.needs):
            continue
        if not is_done(work_dir, job):
            moved.add(job.output)
            place = set_aside(work_dir, job)
            print(f"  again  {job.name}: other inputs than before; the old lies in {place}")
        elif path.name == "results.json":
            try:
                read_results([path])
            except InputError as error:
                print(f"  again  {job.name}: {error}")
                path.unlink()
    sys.stdout.flush()


def said(work_dir: Path, failed: Sequence[Job], began: float) -> str:
    """What did not end well: the jobs that failed with their last words, and those behind them."""
    behind = [j for j in failed if any(need in {f.output for f in failed} for need in j.needs)]
    parts = []
    for job in (job for job in failed if job not in behind):
        words = last_words(work_dir / f"{job.folder}.log")
        begun = was_begun(work_dir, job, began)
        parts.append(f"{job.name} failed; {words}" if begun else f"{job.name} was not begun")
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
            how = "again " if (work_dir / job.output).exists() else "to do "
            lines.append(f"  {how} {job.name}{needs}{asked(job, expected.get(job.kind))}")
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
    parts += [f"{wanted.gpus} GPU{'s' * (wanted.gpus > 1)}"] * (wanted.gpus > 0)
    parts += [f"at most {wanted.minutes / 60:.1f} h"] * (wanted.minutes > 0)
    return f"; {', '.join(parts)}" if parts else ""
