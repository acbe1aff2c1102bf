"""A task's table -> the folders in which its models left boxes, maps or masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfpatch.report.pages import Row as PictureRow
from selfpatch.results.grid import full_name
from selfpatch.results.table import Row, Table

Json = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What one model left in a task.

    Attributes:
        title: What the model is called.
        folder: Where its results file lies, and whatever else it wrote.
        data: Folder of the data set that it was tested on.
    """

    title: str
    folder: Path
    data: Path


@dataclass(frozen=True)
class Gallery:
    """The pictures of one task on one data set.

    Attributes:
        title: The task as people read it.
        rows: Rows of pictures.
        legend: Name and CSS colour of what is painted.
    """

    title: str
    rows: tuple[PictureRow, ...]
    legend: tuple[tuple[str, str], ...] = ()


def outcomes_of(table: Table) -> list[list[Outcome]]:
    """The outcomes of a task, those on the same data together; of several seeds the first."""
    rows = [row for row in table.rows if row.results]
    groups: dict[str, list[Outcome]] = {}
    for row in rows:
        file, result = next(iter(row.results.items()))
        data = result.dataset
        outcome = Outcome(title_of(row, rows), file.parent, Path(data["path"]))
        groups.setdefault(data["names"], []).append(outcome)
    return list(groups.values())


def title_of(row: Row, rows: Sequence[Row]) -> str:
    """The model's name, with its trunk and setting where there are several."""
    name = full_name(row.model, row.variant)
    if len({other.model.trunk for other in rows}) == 1:
        name = name.removesuffix(f", {row.model.trunk}")
    alike = [other for other in rows if (other.model, other.variant) == (row.model, row.variant)]
    return f"{name}; {row.setting}" if len(alike) > 1 else name


def evenly(items: Sequence[Path], count: int) -> list[Path]:
    """``count`` items from first to last, evenly spaced."""
    last, places = len(items) - 1, min(count, len(items))
    return [items[round(i * last / max(places - 1, 1))] for i in range(places)]
