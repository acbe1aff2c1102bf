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
    "In percent, unless a column names a unit: the mean of n seeds ± their sample standard"
    " deviation. Below it the difference to the baseline, with the 95 % confidence interval of"
    " Student's t: over pairs of equal seeds, or Welch's."
)
SEVERAL = (
    "Several results of one backbone, whose deviation and intervals know nothing of pretraining"
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
    labels, lines, several = Labels(), [], []
    above: Model | None = None
    for row in table.rows:
        if row.is_published:
            is_below = above is not None and above[:2] == row.model[:2]
            lines += published_lines(row, is_below)
        else:
            label = labels.of_row(row, table.layout)
            lines += [measured_line(row, label), *difference_lines(row, labels)]
            several += backbones_text(row, label)
        above = row.model
    names = (METRIC_NAMES.get(metric, metric) for metric in table.metrics)
    notes = [*labels.notes(), *([f"{SEVERAL}: {', '.join(several)}."] if several else [])]
    return Grid(
        tuple(map(printable, ("model", "trunk", "n", *names))),
        tuple(lines),
        tuple(map(printable, notes)),
        tuple(map(printable, sources(table))),
        tuple((printable(head), tuple(map(printable, body))) for head, body in commands(table)),
    )


class Labels:
    """Names of rows; what is too long for one is marked by a letter, and stands in a note."""

    def __init__(self) -> None:
        self.marks: dict[str, str] = {}

    def of_row(self, row: Row, layout: str) -> str:
        """A row's name; an ablation's is the part's value, since the title names the model."""
        if layout == "ablations":
            return self.of(row.variant, row.setting)
        return self.of(row.model.name, ", ".join(filter(None, (row.variant, row.setting))))

    def of(self, name: str, more: str) -> str:
        """``name (more)``, or ``name (a)``."""
        if len(name) + len(more) <= LONGEST_LABEL:
            return f"{name} ({more})" if more else name
        return f"{name} {self.marks.setdefault(more, f'({letters(len(self.marks))})')}"

    def notes(self) -> list[str]:
        """What the letters stand for."""
        return [f"{mark} {more}" for more, mark in self.marks.items()]


def letters(number: int) -> str:
    """0, 1, ... -> a, b, ..., z, aa, ab, ..."""
    more, last = divmod(number, 26)
    return (letters(more - 1) if more else "") + chr(ord("a") + last)


def measured_line(row: Row, label: str) -> Line:
    """What was measured, or dashes."""
    num_results = str(len(row.results)) if row.results else NONE
    values = (measured_text(cell, len(row.results)) for cell in row.cells)
    return line((label, row.model.trunk, num_results, *values))


def difference_lines(row: Row, labels: Labels) -> list[Line]:
    """A row's differences: a line for each baseline, and for each way to an interval."""
    found: dict[tuple[str, str], list[str]] = {}
    for place, cell in enumerate(row.cells):
        if difference := cell.difference:
            how = "" if difference.value is None else f", {difference.how}"
            texts = found.setdefault((difference.baseline, how), [""] * len(row.cells))
            texts[place] = difference_text(difference)
    lines = []
    for (baseline, how), texts in found.items():
        name, _, more = baseline.partition(" (")
        label = f"over {labels.of(name, more.removesuffix(')'))}{how}"
        lines.append(line((label, "", "", *texts), is_below=True))
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
    """The difference and its interval, as far as there are any; else the reason."""
    if difference.value is None:
        return difference.how
    if difference.low is None or difference.high is None:
        return f"{difference.value:+.2f}"
    return f"{difference.value:+.2f} [{difference.low:.2f}, {difference.high:.2f}]"


def published_text(cell: Cell) -> str:
    """The published number, with as many digits as were published."""
    if cell.published is None:
        return ""
    about = "about " if cell.published.about else ""
    return f"{about}{cell.published.value:{'+' if cell.published.gain else ''}g}"


def backbones_text(row: Row, label: str) -> list[str]:
    """``DINO (3 of 1)`` where several results are of one backbone; else nothing."""
    prints = {result.backbone["fingerprint"] for result in row.results.values()}
    if not 0 < len(prints) < len(row.results):
        return []
    return [f"{label} ({len(row.results)} of {len(prints)})"]


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
