"""Table -> lines of text cells, notes and commands, which every format for people writes alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from selfpatch.results.models import Model
from selfpatch.results.statistics import Difference
from selfpatch.results.table import METRIC_NAMES, Cell, Row, Table, Tables

NONE = "-"
LONGEST_LABEL = 36
"""Characters of a row's name; what is longer stands in a note."""

OF_MEASURED = (
    "In percent: the mean of n seeds ± their sample standard deviation. Below it what was gained,"
    " in percent points, with the 95 % confidence interval of Student's t: over pairs of equal"
    " seeds, or Welch's."
)
OF_NULLS = "A dash in a row with results is a metric that could not be computed."
OF_ONE_SEED = (
    "One seed: nothing tells such a difference from chance. Train both again with --cfg-options"
    " randomness.seed=1."
)
OF_PUBLISHED = (
    "Published numbers were made in other settings, which their sources name. They are no target,"
    " and nothing is subtracted from them."
)


@dataclass(frozen=True)
class Line:
    """A line of the grid.

    Attributes:
        cells: Name, trunk, number of seeds, and a text per metric.
        is_below: Whether it belongs to the row above it, as a difference does.
    """

    cells: tuple[str, ...]
    is_below: bool = False


@dataclass(frozen=True)
class Grid:
    """A table as text; all of it can be printed.

    Attributes:
        header: Headings of the columns: model, trunk, n, and the metrics.
        lines: What stands below them.
        notes: Sentences for under the table.
    sources: Where each published number stands, and how it was made.
        commands: What would fill the dashes: headings, and commands below them.
    """

    header: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    sources: tuple[str, ...]
    commands: tuple[tuple[str, tuple[str, ...]], ...]


def grid_of(table: Table) -> Grid:
    """All that a table says."""
    labels, remarks = labelled(table)
    lines: list[Line] = []
    above: Model | None = None
    for row, label in zip(table.rows, labels, strict=True):
        is_below = above is not None and above[:2] == row.model[:2]
        lines += published_lines(row, is_below) if row.is_published else lines_of(row, label)
        above = row.model
    names = (METRIC_NAMES.get(metric, metric) for metric in table.metrics)
    return Grid(
        tuple(map(printable, ("model", "trunk", "n", *names))),
        tuple(lines),
        tuple(map(printable, [*remarks, *seed_notes(table.rows, labels)])),
        tuple(map(printable, sources(table))),
        tuple((printable(head), tuple(map(printable, body))) for head, body in commands(table)),
    )


def labelled(table: Table) -> tuple[list[str], list[str]]:
    """Every row's name, and notes on those that would be too long."""
    labels: list[str] = []
    marks: dict[str, str] = {}
    for row in table.rows:
        name, more = row.model.name, ", ".join(part for part in (row.variant, row.setting) if part)
        if table.layout == "ablations":  # whose title names the model
            name, more = row.variant, row.setting
        if len(name) + len(more) > LONGEST_LABEL:
            mark = marks.setdefault(more, f"({letters(len(marks))})")
            labels.append(f"{name} {mark}")
        else:
            labels.append(f"{name} ({more})" if more else name)
    return labels, [f"{mark} {more}" for more, mark in marks.items()]


def letters(number: int) -> str:
    """0, 1, ... -> a, b, ..., z, aa, ab, ..."""
    more, last = divmod(number, 26)
    return (letters(more - 1) if more else "") + chr(ord("a") + last)


def lines_of(row: Row, label: str) -> list[Line]:
    """A row, and its differences by what was subtracted and how."""
    num_results = str(len(row.results)) if row.results else NONE
    values = (measured_text(cell, len(row.results)) for cell in row.cells)
    lines = [line((label, row.model.trunk, num_results, *values))]
    kinds = dict.fromkeys((d.baseline, d.how) for cell in row.cells if (d := cell.difference))
    for baseline, how in kinds:
        texts = [
            difference_text(cell.difference)
            if cell.difference
            and (cell.difference.baseline, cell.difference.how) == (baseline, how)
            else ""
            for cell in row.cells
        ]
        named = f"over {baseline}, {how}" if any(texts) else f"over {baseline}: {how}"
        lines.append(line((named, "", "", *texts), is_below=True))
    return lines


def published_lines(row: Row, is_below: bool) -> list[Line]:
    """The published numbers, below what was measured of the same method and trunk."""
    gain = any(cell.published and cell.published.gain for cell in row.cells)
    what = "published gain" if gain else "published"
    name = (what, "") if is_below else (f"{row.model.name}, {what}", row.model.trunk)
    return [line((*name, "", *map(published_text, row.cells)), is_below)]


def line(cells: Sequence[str], is_below: bool = False) -> Line:
    """Cells that can be printed."""
    return Line(tuple(map(printable, cells)), is_below)


def printable(text: str) -> str:
    """Names come from files: whatever would move the cursor or cannot be encoded is replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def measured_text(cell: Cell, num_results: int) -> str:
    """Mean and deviation; the number of seeds where it is not the row's."""
    if cell.mean is None:
        return NONE
    text = f"{cell.mean:.2f}"
    if cell.deviation is not None:
        text += f" ± {cell.deviation:.2f}"
    return text if len(cell.values) == num_results else f"{text} ({len(cell.values)})"


def difference_text(difference: Difference) -> str:
    """The difference and its interval, as far as there are any."""
    if difference.value is None:
        return ""
    if difference.low is None or difference.high is None:
        return f"{difference.value:+.2f}"
    return f"{difference.value:+.2f} [{difference.low:.2f}, {difference.high:.2f}]"


def published_text(cell: Cell) -> str:
    """The published number, with as many digits as were published."""
    if cell.published is None:
        return ""
    about = "about " if cell.published.about else ""
    return f"{about}{cell.published.value:{'+' if cell.published.gain else ''}g}"


def seed_notes(rows: Sequence[Row], labels: Sequence[str]) -> list[str]:
    """What the number of seeds does not say by itself."""
    several = []
    for row, label in zip(rows, labels, strict=True):
        prints = {result.backbone["fingerprint"] for result in row.results.values()}
        if 0 < len(prints) < len(row.results):
            several.append(f"{label} ({len(row.results)} of {len(prints)})")
    if not several:
        return []
    return [
        f"Several results of one backbone: {', '.join(several)}. Their deviation is not that of"
        " pretraining."
    ]


def sources(table: Table) -> list[str]:
    """Where each published number stands, and how it was made."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for row in table.rows:
        for cell in row.cells:
            if number := cell.published:
                names = found.setdefault((number.source, number.setting), {})
                metric = METRIC_NAMES.get(number.metric, number.metric)
                names.setdefault(f"{row.model.name} ({row.model.trunk})", []).append(metric)
    notes = []
    for (source, setting), names in found.items():
        whose = "; ".join(f"{name}, {' and '.join(metrics)}" for name, metrics in names.items())
        notes.append(f"Published for {whose}: {source}; {setting}.")
    return notes


def commands(table: Table) -> list[tuple[str, tuple[str, ...]]]:
    """Who is missing and what makes its backbone; at last what they are then put through."""
    by_task: dict[str, list[Row]] = {}
    for row in table.rows:
        if row.commands:
            by_task.setdefault(row.commands[-1], []).append(row)
    found = []
    for command, rows in by_task.items():
        for row in rows:
            more = f" ({row.variant})" if row.variant else ""
            name = f"{row.model.name}{more}, {row.model.trunk}"
            found.append(
                (name if row.commands[:-1] else f"{name}: its backbone", row.commands[:-1])
            )
        found.append(("then" if len(rows) == 1 else "then, with each of these", (command,)))
    return found


def legend(tables: Tables) -> list[str]:
    """How to read what was measured and published, as far as there is any."""
    rows = [row for table in tables.tables for row in table.rows]
    cells = [cell for row in rows if row.results for cell in row.cells]
    said = {
        OF_MEASURED: bool(cells),
        OF_NULLS: any(not cell.values for cell in cells),
        OF_ONE_SEED: any(cell.difference and cell.difference.how == "one seed" for cell in cells),
        OF_PUBLISHED: any(row.is_published for row in rows),
    }
    return [sentence for sentence, is_due in said.items() if is_due]


def left_out(tables: Tables) -> list[str]:
    """Which layouts nothing was measured for."""
    if not tables.empty:
        return []
    return [f"Nothing was measured for {', '.join(tables.empty)}; --layout NAME prints their rows."]


def full_name(model: Model, variant: str) -> str:
    """``DINO (k=2), ViT-S/16``."""
    return f"{model.name} ({variant}), {model.trunk}" if variant else f"{model.name}, {model.trunk}"
