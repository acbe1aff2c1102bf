"""Images -> two pretrained backbones -> detection, segmentation, tracking -> table, report."""

import os
import time
from datetime import datetime
from pathlib import Path

from selfpatch.demo.data import Sizes
from selfpatch.demo.plan import RUNS, Budget, find_data, plan
from selfpatch.demo.processes import import_once, run_steps
from selfpatch.errors import InputError
from selfpatch.results.figures import Run
from selfpatch.results.file import read_results
from selfpatch.results.formats import clock, summary
from selfpatch.results.layouts import build_tables
from selfpatch.results.report import Made, write_report
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

    results = [step.output for step in steps if step.output.name == "results.json"]
    tables = build_tables(read_results(results))
    print(f"\n{summary(tables)}\n")
    made = Made(
        commands=[(step.name, step.typed, seconds[step.name]) for step in steps],
        at_once=at_once,
        created=datetime.now().strftime("%d %B %Y"),
    )
    runs = [Run(name, work_dir / method) for method, name in RUNS.items()]
    report = work_dir / "report.html"
    write_report(report, data, runs, tables, made)
    print(f"report: {report} ({clock(time.monotonic() - began)} in all)")
    return tables
