"""Compare backbones on tasks over seeds, as a plan says: what is finished is not run again.

Examples:
    selfpatch bench demo
    selfpatch bench davis --dry-run
    selfpatch bench my_plan.yaml --jobs 4 --data davis=DIR
    selfpatch bench coco --jobs 100 -- --executor slurm --default-resources slurm_partition=gpu

A plan is a file, or a name that `selfpatch list plans` prints. What stands after -- goes to
Snakemake, which runs the jobs: `--executor slurm`, `--profile DIR`, `--retries 2`, ...
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from selfpatch.commands.parser import parsed, positive
from selfpatch.errors import InputError

if TYPE_CHECKING:  # which reads YAML, and safetensors
    from selfpatch.bench.jobs import Job

RESOURCES = {
    "processes": "processes of a training",
    "gpus": "GPUs of a job",
    "cpus": "cores of a process",
    "memory": "MiB of a job",
    "minutes": "time limit of a job on a cluster",
}
"""What a job takes, as options."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("plan", help="a YAML file, or a name that `selfpatch list plans` prints")
    parser.add_argument("--work-dir", type=Path, help="where to write; work_dirs/<plan>")
    parser.add_argument(
        "--jobs", type=positive, help="at a time; 2, or what the profile of a cluster says"
    )
    for name, text in RESOURCES.items():
        parser.add_argument(
            f"--{name}", type=int, metavar="N", help=f"{text}, instead of the plan's"
        )
    parser.add_argument(
        "--data",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=DIR",
        help="images, coco, ade20k, davis",
    )
    parser.add_argument("--dry-run", action="store_true", help="only list the jobs")
    parser.add_argument("--json", action="store_true", help="list the jobs as JSON, and end")
    parser.set_defaults(passed_on="after --")


def run(args: argparse.Namespace) -> None:
    """Run everything, print the tables and write the report."""
    stated = {name: getattr(args, name) for name in RESOURCES}
    data = folders(args.data)
    compare(
        args.plan, args.work_dir, data, stated, args.jobs, args.dry_run, args.json, args.further
    )


def compare(
    name: str,
    work_dir: Path | None,
    data: Mapping[str, str],
    resources: Mapping[str, int | None] | None = None,
    at_once: int | None = None,
    dry_run: bool = False,
    as_json: bool = False,
    further: Sequence[str] = (),
) -> None:
    """Run a plan to its tables and its report; see the command's help for the arguments."""
    from selfpatch.atomic import one_run_in
    from selfpatch.bench.finished import is_done
    from selfpatch.bench.jobs import jobs_of
    from selfpatch.bench.reading import read_plan
    from selfpatch.bench.run import listed, run_jobs
    from selfpatch.shipped import find_plan

    plan = read_plan(find_plan(name), data, resources, must_exist=not (dry_run or as_json))
    work_dir = (work_dir or Path("work_dirs", plan.name)).resolve()
    jobs = jobs_of(plan, work_dir)
    check_commands(jobs)
    if as_json:
        print(json.dumps([asdict(job) for job in jobs], indent=1))
        return
    print(f"{plan.name}: {len(jobs)} jobs in {work_dir}", flush=True)
    if dry_run:
        print(listed(work_dir, jobs))
        for missing in plan.missing:
            print(f"not there yet: {missing}")
        return
    with one_run_in(work_dir):
        if "generated" in plan.data:
            generate_data(work_dir, dict(plan.sizes))
        failures = run_jobs(work_dir, jobs, at_once, further)
    from selfpatch.bench.outcome import write_outcome  # which draws, and needs what draws

    try:
        write_outcome(plan, work_dir, [job for job in jobs if is_done(work_dir, job)])
    except InputError as error:
        failures = "; ".join(filter(None, [failures, f"no report: {error}"]))
    if failures:
        raise InputError(failures)


def check_commands(jobs: Sequence["Job"]) -> None:
    """Raise InputError if a job's command does not know one of its options."""
    for job in jobs:
        try:
            parsed(job.command)
        except InputError as error:
            raise InputError(f"{job.name} cannot be run: {error}") from None


def folders(given: list[str]) -> dict[str, str]:
    """``NAME=DIR`` of the command line."""
    pairs = [entry.partition("=") for entry in given]
    for name, sign, folder in pairs:
        if not sign or not folder:
            raise InputError(f"--data {name} is no NAME=DIR, such as coco=data/coco")
        if [own for own, _, _ in pairs].count(name) > 1:
            raise InputError(f"--data names {name} twice; give one folder for it")
    return {name: folder for name, _, folder in pairs}


def generate_data(work_dir: Path, sizes: dict[str, int]) -> None:
    """Small data of every kind, unless they are there."""
    from selfpatch.demo.data import Sizes, generate

    print("small data are generated, if they are not there", flush=True)
    generate(work_dir / "data", Sizes(**sizes))
