"""Images -> two pretrained backbones -> detection, segmentation, tracking -> table, report."""

import os
import time
from datetime import datetime
from pathlib import Path

from selfpatch.demo.data import Sizes
from selfpatch.demo.plan import RUNS, Budget, DataSets, find_data, plan
from selfpatch.demo.processes import import_once, run_steps
from selfpatch.demo.steps import Step
from selfpatch.errors import InputError
from selfpatch.report.report import Command, Introduction, Sources, write_report
from selfpatch.report.seeing import find_images
from selfpatch.results.file import device_name, read_results
from selfpatch.results.formats import clock, summary
from selfpatch.results.layouts import build_tables
from selfpatch.results.table import Tables


def demo(
    folder: str | os.PathLike[str] | None,
    work_dir: str | os.PathLike[str],
    budget: Budget,
    sizes: Sizes | None = None,
) -> Tables:
    """Run everything that is not finished yet; print the table and write ``report.html``.

    Args:
        folder: Holds the four data sets; None generates small ones.
        work_dir: Folder that everything is written to.
        budget: How long each part runs.
        sizes: How much data is generated.

    Raises:
        InputError: Data is missing, or a step failed.
    """
    began = time.monotonic()
    work_dir = Path(work_dir)
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {work_dir} ({error}); give another --work-dir") from None
    import_once()
    cores = len(os.sched_getaffinity(0))
    at_once = min(2, cores)
    if folder is None:
        print("making small data (some ten seconds the first time)", flush=True)
    data = find_data(folder, work_dir, sizes or Sizes())
    steps = plan(data, work_dir, budget)
    print(f"data: {data.description}")
    print(f"{len(steps)} steps, {at_once} at a time; output in {work_dir}", flush=True)
    seconds = run_steps(steps, at_once, threads=max(1, cores // at_once))

    results = read_results(step.output for step in steps if step.output.name == "results.json")
    tables = build_tables(results)
    print(f"\n{summary(tables)}\n")
    sources = Sources(
        results,
        folders=[work_dir / method for method in RUNS],
        images=find_images([data.coco / "val2017"], most=2),
        commands=[Command(step.name, step.typed, seconds[step.name]) for step in steps],
    )
    report = work_dir / "report.html"
    write_report(report, sources, introduction(data, steps, at_once, sum(seconds.values())))
    print(f"report: {report} ({clock(time.monotonic() - began)} in all)")
    return tables


def introduction(data: DataSets, steps: list[Step], at_once: int, seconds: float) -> Introduction:
    """What the demo did, on which data and machine, and what it does not show."""
    paragraphs = (
        f"{' and '.join(RUNS.values())}: pretrained with the same budget on the same images, then"
        " detection, segmentation and tracking with each.",
        f"Data: {data.description}. Machine: {device_name()}. {datetime.now():%d %B %Y}. The"
        f" {len(steps)} steps took {clock(seconds)}, {at_once} at a time.",
        "The budgets are minutes, not days. The numbers show that every part of the path works and"
        " is measured. They do not rank the methods: it is one run each, a difference can be"
        " chance. In runs as short as these the image loss rises towards the logarithm of the"
        " number of prototypes, because the centre takes away the agreement of an untrained"
        " network.",
    )
    return Introduction("SelfPatch, from images to one table", paragraphs)
