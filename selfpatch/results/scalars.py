"""A run's log -> its logged values."""

import json
from pathlib import Path
from typing import Any

from selfpatch.errors import InputError

LOG = "*/vis_data/scalars.json"
"""Where mmengine writes the values of a run, below its work dir: a JSON object per line."""


def read_scalars(work_dir: Path) -> list[dict[str, Any]]:
    """All values that a run has logged, resumed or not: one dict per step, in order.

    Where a resumed run did steps again, the later values count.

    Raises:
        InputError: The folder holds no log.
    """
    logs = sorted(work_dir.glob(LOG))  # named by the time at which each began
    if not logs:
        raise InputError(f"{work_dir} holds no {LOG}; give a run's work dir")
    steps: dict[int, dict[str, Any]] = {}
    for log in logs:
        for line in log.read_text().splitlines():
            entry = json.loads(line)
            steps.setdefault(entry["step"], {}).update(entry)
    return [steps[step] for step in sorted(steps)]
