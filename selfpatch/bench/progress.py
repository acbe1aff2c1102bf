"""Snakemake's log records -> a line when a job starts, ends or fails, and what is left."""

import logging
import sys
import textwrap
import time

from selfpatch.bench.jobs import Job
from selfpatch.results.formats import clock


def show_progress(logger: logging.Logger, jobs: list[Job]) -> None:
    """Print what happens to the jobs."""
    logger.addHandler(Progress(jobs))


ENDS = {"job_finished": "done", "job_error": "FAILED"}


class Progress(logging.Handler):
    """Prints what Snakemake logs of its jobs."""

    def __init__(self, jobs: list[Job]) -> None:
        super().__init__()
        self.names = {job.rule: job.name for job in jobs}
        self.running: dict[int, tuple[str, float]] = {}
        """Number of a job -> its name, and when it began."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record, if it is of a job."""
        facts = vars(record)
        event, number = facts.get("event"), facts.get("jobid", facts.get("job_id", -1))
        if event == "job_info" and (name := self.names.get(facts["rule_name"])):
            self.running[number] = (name, time.monotonic())
            print(f"  start  {name}", flush=True)
        elif number in self.running and event in ENDS:
            self.end(number, ENDS[event], str(facts.get("rule_msg") or ""))
        elif event == "error":  # into the log of `selfpatch bench`
            print(one_line(record.getMessage()), file=sys.stderr, flush=True)

    def end(self, number: int, how: str, reason: str) -> None:
        """Print the end of a job, and what a cluster says of one that it refuses."""
        name, began = self.running.pop(number)
        left = f"; {len(self.running)} running" if self.running else ""
        text = f"  {how:<6} {name} in {clock(time.monotonic() - began)}{left}"
        print(f"{text}: {one_line(reason)}" if reason else text, flush=True)


def one_line(text: str) -> str:
    """The beginning of a message, on one line."""
    return textwrap.shorten(text, 240, placeholder=" ...")
