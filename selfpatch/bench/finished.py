"""A work dir and a job -> whether it is done, of which inputs, and how long it took."""

import hashlib
import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import safetensors

from selfpatch.bench.jobs import Job
from selfpatch.bench.key import header_of


def key_now(work_dir: Path, job: Job) -> str | None:
    """A job's key with the weights of the backbone that it needs; None while there is none.

    A task whose backbone was made anew is another one, unless the weights came out equal.
    """
    found = hashlib.sha256(job.key.encode())
    for need in job.needs:
        try:
            found.update(header_of(work_dir / need).encode())
        except (OSError, safetensors.SafetensorError):
            return None
    return found.hexdigest()


def is_done(work_dir: Path, job: Job) -> bool:
    """Whether a job's output is there, made of what it would be made of now."""
    if not (work_dir / job.output).is_file():
        return False
    key = key_now(work_dir, job)
    return key is not None and key == facts_of(work_dir / job.folder).get("key")


def is_of_other_inputs(work_dir: Path, job: Job) -> bool:
    """Whether there is something in a job's folder that was made of other inputs than now."""
    key = facts_of(work_dir / job.folder).get("key")
    return key is not None and key != key_now(work_dir, job)


def set_aside(work_dir: Path, job: Job) -> Path:
    """Move what a job has left to a place where nothing looks for results; returns the place."""
    places = (work_dir / ".replaced" / f"{job.folder}-{number}" for number in count(1))
    place = next(place for place in places if not place.exists())
    place.parent.mkdir(parents=True, exist_ok=True)
    (work_dir / job.folder).rename(place)
    return place


def facts_of(folder: Path) -> dict[str, Any]:
    """What a job has noted in its folder: its key, and its seconds if it has ended well."""
    try:
        found = json.loads((folder / "job.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def seconds_of(work_dir: Path, job: Job) -> float | None:
    """How long a finished job took; None for one that is to do."""
    return float(facts_of(work_dir / job.folder)["seconds"]) if is_done(work_dir, job) else None


def expected_seconds(work_dir: Path, jobs: Sequence[Job]) -> dict[str, float]:
    """Kind of job -> the median time of those that are done; the others' is not known."""
    took: dict[str, list[float]] = {}
    for one in jobs:
        if (seconds := seconds_of(work_dir, one)) is not None:
            took.setdefault(one.kind, []).append(seconds)
    return {kind: median(times) for kind, times in took.items()}
