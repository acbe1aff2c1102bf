"""Tables -> text, Markdown, LaTeX: for people."""

import re
import textwrap
from collections.abc import Sequence

from selfpatch.results.grid import Grid, Line, grid_of, left_out, legend, printable
from selfpatch.results.origins import origins
from selfpatch.results.table import Table, Tables

LINE_WIDTH = 100
NUM_LEFT = 2
"""Columns of words; those of numbers follow."""


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def to_text(tables: Tables) -> str:
    """The tables for a terminal, with everything that is known about their numbers."""
    parts = []
    for table in tables.tables:
        grid = grid_of(table)
        parts.append(f"{printable(table.title)}\n\n{aligned(grid)}")
        parts += [notes_text((*grid.notes, *grid.sources))] * bool(grid.notes + grid.sources)
        parts += ["To fill the dashes:\n" + commands_text(grid)] * bool(grid.commands)
    parts += map(wrapped, (*legend(tables), *left_out(tables)))
    if lines := origins(tables):
        listed = "\n".join(wrapped(f"  {line}", indent=6) for line in lines)
        parts.append(f"Where the numbers come from:\n{listed}")
    return "\n\n".join(parts)


def summary(tables: Tables) -> str:
    """What was measured and published alone, for a terminal; the whole has sources and commands."""
    parts = []
    for table in tables.tables:
        rows = tuple(row for row in table.rows if not row.commands)
        shown = Table(table.layout, table.task, table.title, table.metrics, rows)
        grid = grid_of(shown)
        parts.append(f"{printable(table.title)}\n\n{aligned(grid)}")
        parts += [notes_text(grid.notes)] * bool(grid.notes)
    return "\n\n".join([*parts, *map(wrapped, legend(tables))])


def wrapped(text: str, indent: int = 0) -> str:
    """A sentence over several lines."""
    more = " " * indent
    return textwrap.fill(text, LINE_WIDTH, subsequent_indent=more, break_on_hyphens=False)


def notes_text(notes: Sequence[str]) -> str:
    """The notes, each beginning a line."""
    return "\n".join(wrapped(note, indent=4) for note in notes)


def commands_text(grid: Grid) -> str:
    """Headings and commands; one that is too long goes on after a backslash."""
    lines = []
    for heading, commands in grid.commands:
        lines.append(f"  {heading}")
        for command in commands:
            if len(command) + 6 > LINE_WIDTH:
                command = command.replace(" --cfg-options", " \\\n          --cfg-options")
            lines.append(f"      {command}")
    return "\n".join(lines)


def aligned(grid: Grid) -> str:
    """Columns padded to one width; those that do not fit beside each other follow below."""
    lines = [Line(grid.header), *grid.lines]
    texts = [
        (f"  {line.cells[0]}" if line.is_below else line.cells[0], *line.cells[1:])
        for line in lines
    ]
    widths = widths_of(grid)
    return "\n\n".join("\n".join(block(texts, widths, shown)) for shown in fitting(widths))


def widths_of(grid: Grid) -> list[int]:
    """Characters of each column; what belongs to the row above is indented by two."""
    lines = [Line(grid.header), *grid.lines]
    first = max(len(line.cells[0]) + 2 * line.is_below for line in lines)
    return [first, *(max(len(line.cells[i]) for line in lines) for i in range(1, len(grid.header)))]


def fitting(widths: Sequence[int]) -> list[list[int]]:
    """The columns of each block: name, trunk and n, and as many metrics as have room."""
    first = list(range(NUM_LEFT + 1))
    blocks = [list(first)]
    for column in range(len(first), len(widths)):
        shown = [*blocks[-1], column]
        if sum(widths[i] + 2 for i in shown) - 2 > LINE_WIDTH and blocks[-1] != first:
            blocks.append([*first, column])
        else:
            blocks[-1] = shown
    return blocks


def block(texts: Sequence[Sequence[str]], widths: Sequence[int], shown: Sequence[int]) -> list[str]:
    """Lines of some of the columns, with a rule below the first; words to the left."""
    lines = [
        "  ".join(f"{text[i]:{'<' if i < NUM_LEFT else '>'}{widths[i]}}" for i in shown).rstrip()
        for text in texts
        if any(text[i] for i in shown[NUM_LEFT:])
    ]
    rule = "-" * (sum(widths[i] + 2 for i in shown) - 2)
    return [lines[0], rule, *lines[1:]]


def to_markdown(tables: Tables) -> str:
    """The tables for a README or a pull request."""
    parts = []
    for table in tables.tables:
        grid = grid_of(table)
        parts += [f"### {marked(printable(table.title))}", markdown_grid(grid)]
        if notes := grid.notes + grid.sources:
            parts.append("\n".join(f"- {marked(note)}" for note in notes))
        if grid.commands:
            parts.append(f"To fill the dashes:\n\n```\n{commands_text(grid)}\n```")
    parts += map(marked, (*legend(tables), *left_out(tables)))
    if lines := origins(tables):
        listed = "\n".join(f"- {marked(line)}" for line in lines)
        parts.append(f"Where the numbers come from:\n\n{listed}")
    return "\n\n".join(parts) + "\n"


def markdown_grid(grid: Grid) -> str:
    """A pipe table."""
    rules = [":--"] * NUM_LEFT + ["--:"] * (len(grid.header) - NUM_LEFT)
    lines = [list(map(marked, grid.header)), rules]
    for line in grid.lines:
        first, *others = map(marked, line.cells)
        lines.append([f"↳ {first}" if line.is_below else first, *others])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def marked(text: str) -> str:
    """Text that Markdown prints as it is; the bracket of an interval begins no link."""
    return re.sub(r"([\\`*_<>|#]|\[(?![-\d]))", r"\\\1", text)


def to_latex(tables: Tables) -> str:
    """A ``table`` each, for a document with ``\\usepackage{booktabs}``; notes are comments."""
    parts = ["% \\usepackage{booktabs}"]
    parts += [latex_table(table) for table in tables.tables]
    notes = [*legend(tables), *left_out(tables), *origins(tables)]
    return "\n\n".join([*parts, "\n".join(map(commented, notes))]).rstrip() + "\n"


def latex_table(table: Table) -> str:
    """One table, and its notes and commands."""
    grid = grid_of(table)
    blocks = [latex_block(grid, shown) for shown in fitting(widths_of(grid))]
    lines = [
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{typeset(printable(table.title))}}}",
        "\n  \\par\\medskip\n".join(blocks),
        r"\end{table}",
        *map(commented, grid.notes + grid.sources),
    ]
    if grid.commands:
        lines += map(commented, ("To fill the dashes:", *commands_text(grid).splitlines()))
    return "\n".join(lines)


def latex_block(grid: Grid, shown: Sequence[int]) -> str:
    """A ``tabular`` of some of the columns: as many as fit beside each other."""
    body = []
    for line in grid.lines:
        cells = [typeset(line.cells[i]) for i in shown]
        if line.is_below:
            cells[0] = f"\\quad {cells[0]}"
        if any(cells[NUM_LEFT:]):
            body.append(f"    {' & '.join(cells)} \\\\")
    lines = [
        f"  \\begin{{tabular}}{{{'l' * NUM_LEFT}{'r' * (len(shown) - NUM_LEFT)}}}",
        r"    \toprule",
        f"    {' & '.join(typeset(grid.header[i]) for i in shown)} \\\\",
        r"    \midrule",
        *body,
        r"    \bottomrule",
        r"  \end{tabular}",
    ]
    return "\n".join(lines)


LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "↓": r"$\downarrow$", "±": r"$\pm$", "[": "{[}", "]": "{]}",
    "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "\N{REPLACEMENT CHARACTER}": "?",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}  # fmt: skip


def typeset(text: str) -> str:
    """Text that LaTeX prints as it is, signs of numbers as signs; a dash is an en dash."""
    if text == "-":
        return "--"
    escaped = "".join(LATEX.get(character, character) for character in text)
    return re.sub(r"(?<![\w.])([+-])(?=\d)", r"$\1$", escaped)


def commented(text: str) -> str:
    """A line that LaTeX does not read."""
    return f"% {text}"
