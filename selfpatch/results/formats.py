"""Table -> text, markdown, HTML."""

import html
import textwrap
from collections.abc import Sequence

from selfpatch.results.table import ORIGIN_HEADER, Table

LINE_WIDTH = 100


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def sources(table: Table) -> list[str]:
    """Where each published number of the table stands."""
    known = {
        f"{row.task.split(' (')[0]}, {row.metric}: {row.published.source}; {row.published.setting}"
        for row in table.rows
        if row.published
    }
    return sorted(known)


def to_text(table: Table) -> str:
    """The table as text for a terminal, with everything that is known about its numbers."""
    parts = [summary(table)]
    if listed := sources(table):
        parts.append("Sources of the published numbers\n" + "\n".join(f"  {s}" for s in listed))
    if table.origins:
        parts.append("Where the numbers come from\n" + origins_text(table))
    return "\n\n".join(parts)


def summary(table: Table) -> str:
    """The rows and the notes alone, for a terminal."""
    rows = aligned(table.header, table.cells(), num_left=2)
    notes = [textwrap.fill(note, LINE_WIDTH) for note in table.notes]
    return "\n\n".join([rows, *notes])


def origins_text(table: Table) -> str:
    """One result per paragraph; what several results share is said once, at the end."""
    lines = []
    for entry in table.origins:
        facts = dict(zip(ORIGIN_HEADER, entry, strict=True))
        lines.append(f"  {facts['task']} with {facts['backbone']}: {facts['config']}")
        lines.append(f"      on {facts['data']}, {facts['hours']} h; {facts['settings']}")
    for name in ("device", "versions"):
        column = ORIGIN_HEADER.index(name)
        lines += [f"  {name}: {value}" for value in sorted({e[column] for e in table.origins})]
    wrapped = [textwrap.fill(line, LINE_WIDTH, subsequent_indent=" " * 6) for line in lines]
    return "\n".join(wrapped)


def aligned(header: Sequence[str], cells: Sequence[Sequence[str]], num_left: int) -> str:
    """Columns padded to one width: the first ``num_left`` to the left, the others to the right."""
    lines = [header, *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    pads = ["<" if i < num_left else ">" for i in range(len(header))]
    text = [
        "  ".join(
            f"{cell:{pad}{width}}" for cell, pad, width in zip(line, pads, widths, strict=True)
        )
        for line in lines
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:]])


def to_markdown(table: Table) -> str:
    """The table as markdown, for a README or a pull request."""
    rules = [":--", ":--"] + ["--:"] * (len(table.header) - 2)
    lines = [table.header, rules, *table.cells()]
    text = "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
    parts = [text, *table.notes]
    if listed := sources(table):
        published = "\n".join(f"- {line}" for line in listed)
        parts.append(f"Sources of the published numbers:\n\n{published}")
    if table.origins:
        parts.append(f"Where the numbers come from:\n\n```\n{origins_text(table)}\n```")
    return "\n\n".join(parts) + "\n"


def to_html(table: Table) -> str:
    """The table as a ``<table>`` with notes, for a page that brings its own style."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.header)
    body = ""
    for row in table.cells():
        body += "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n"
    notes = "".join(f"<p class='note'>{html.escape(note)}</p>" for note in table.notes)
    listed = "".join(f"<li>{html.escape(source)}</li>" for source in sources(table))
    published = (
        "<details><summary>Sources of the published numbers</summary>"
        f"<ul class='note'>{listed}</ul></details>"
    )
    return (
        f"<table class='results'><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>\n"
        f"{notes}{published if listed else ''}"
    )
