"""A plan whose jobs are done -> its tables, printed, and a page."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from selfpatch.bench.finished import seconds_of
from selfpatch.bench.jobs import Job
from selfpatch.bench.plan import Plan
from selfpatch.errors import InputError
from selfpatch.report.report import Command, Introduction, Sources, write_report
from selfpatch.report.seeing import find_images
from selfpatch.results.file import read_results
from selfpatch.results.formats import summary
from selfpatch.results.layouts import build_tables


def write_outcome(plan: Plan, work_dir: Path, jobs: Sequence[Job]) -> None:
    """Print the tables, and write them with curves and pictures as a page."""
    found = [work_dir / job.output for job in jobs if job.output.endswith("results.json")]
    results = read_results(found)
    if not results:
        return
    print(f"\n{summary(build_tables(results))}\n")
    roots = [Path(plan.data[name]) for name in ("images",) if name in plan.data]
    roots += [work_dir / "data/coco/val2017"] * ("generated" in plan.data)
    try:
        images = find_images(roots, 2)
    except InputError as error:
        print(f"no pictures of backbones: {error}")
        images = []
    commands = [Command(job.name, typed(job), seconds_of(work_dir, job) or 0.0) for job in jobs]
    folders = [work_dir / job.folder for job in jobs]
    report = work_dir / "report.html"
    sources = Sources(results, folders, images, commands)
    write_report(report, sources, Introduction(plan.name, [plan.text] if plan.text else []))
    print(f"report: {report}")


def typed(job: Job) -> str:
    """A job's command line, as one would type it."""
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in job.environment.items())
    if job.resources.processes == 1:
        return f"{variables}selfpatch {shlex.join(job.command)}"
    launcher = f"torchrun --nproc-per-node {job.resources.processes} -m selfpatch"
    return f"{variables}{launcher} {shlex.join([*job.command, '--launcher', 'pytorch'])}"
