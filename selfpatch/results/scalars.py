"""A run's log -> its logged values."""

import json
from pathlib import Path
from typing import Any

from selfpatch.errors import InputError

LOG = "*/vis_data/scalars.json"
"""Where mmengine writes the values of a run, below its work dir: a JSON object per line."""


def read_scalars(work_dir: Path) -> list[dict[str, Any]]:
    """All values that a run has logged, resumed or not: one dict per step, in order.

    Where a resumed run did steps again, the later values count. The last line of a run that was
    killed may be half a line, and does not count.

    Raises:
        InputError: The folder holds no log, or a damaged one.
    """
    logs = sorted(work_dir.glob(LOG))  # named by the time at which each began
    if not logs:
        raise InputError(f"{work_dir} holds no {LOG}; give a run's work dir")
    steps: dict[int, dict[str, Any]] = {}
    for log in logs:
        lines = log.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                continue
            try:
                entry = json.loads(line)
                steps.setdefault(int(entry["step"]), {}).update(entry)
            except (ValueError, KeyError, TypeError, RecursionError):
                raise InputError(
                    f"line {number} of {log} is no JSON object with a step; remove it"
                ) from None
    return [steps[step] for step in sorted(steps)]
