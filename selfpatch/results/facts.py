"""Tables -> CSV, JSON: all facts, for programs."""

import csv
import io
import json
from dataclasses import asdict
from typing import Any

from selfpatch.results.grid import grid_of, legend, printable
from selfpatch.results.statistics import Seeds
from selfpatch.results.table import Cell, Row, Table, Tables

COLUMNS = (
    "layout", "title", "task", "model", "variant", "trunk", "setting", "metric", "n", "mean", "std",
    "seeds", "baseline", "difference", "low", "high", "interval", "published", "about", "source",
)  # fmt: skip
"""Of the CSV; a published gain over the method alone has its number under ``difference``."""


def to_csv(tables: Tables) -> str:
    """A line per cell, with a header; numbers with all their digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for table in tables.tables:
        for row in table.rows:
            for metric, cell in zip(table.metrics, row.cells, strict=True):
                if row.is_published and not cell.published:
                    continue
                facts = {**of_row(table, row), "metric": metric, **of_cell(cell)}
                facts["seeds"] = " ".join(map(seeds_text, cell.values))
                known = {name: facts.get(name) for name in COLUMNS}
                writer.writerow(
                    {n: printable(v) if isinstance(v, str) else v for n, v in known.items()}
                )
    return text.getvalue()


def of_row(table: Table, row: Row) -> dict[str, Any]:
    """What all cells of a row share."""
    return {
        "layout": table.layout,
        "title": table.title,
        "task": table.task,
        "model": row.model.name,
        "variant": row.variant,
        "trunk": row.model.trunk,
        "setting": row.setting,
    }


def of_cell(cell: Cell) -> dict[str, Any]:
    """The facts of a cell, by the names of :data:`COLUMNS`."""
    facts: dict[str, Any] = {"n": len(cell.values), "mean": cell.mean, "std": cell.deviation}
    if found := cell.difference:
        facts |= {"baseline": found.baseline, "difference": found.value}
        facts |= {"low": found.low, "high": found.high, "interval": found.how}
    if number := cell.published:
        facts |= {"about": number.about, "source": f"{number.source}; {number.setting}"}
        facts["difference" if number.gain else "published"] = number.value
    return facts


def seeds_text(seeds: Seeds) -> str:
    """``0/3``: seed of the pretraining and of the task; a dash where there is none."""
    return "/".join("-" if seed is None else str(seed) for seed in seeds)


def to_json(tables: Tables) -> str:
    """All facts, with the values by seed and the results behind each row."""
    described = [
        {
            "layout": table.layout,
            "task": table.task,
            "title": table.title,
            "metrics": table.metrics,
            "rows": [json_row(table, row) for row in table.rows],
            "notes": grid_of(table).notes + grid_of(table).sources,
        }
        for table in tables.tables
    ]
    whole = {"tables": described, "empty": tables.empty, "notes": legend(tables)}
    return json.dumps(whole, indent=1) + "\n"


def json_row(table: Table, row: Row) -> dict[str, Any]:
    """A row, its cells by metric."""
    cells = {}
    for metric, cell in zip(table.metrics, row.cells, strict=True):
        values = {seeds_text(seeds): value for seeds, value in cell.values.items()}
        cells[metric] = {**of_cell(cell), "values": values}
    facts = {n: v for n, v in of_row(table, row).items() if n not in ("layout", "title", "task")}
    results = [
        {
            "file": str(file),
            "fingerprint": result.backbone["fingerprint"],
            "seeds": seeds_text((result.backbone["seed"], result.seed)),
            **{
                n: v for n, v in asdict(result).items() if n not in ("backbone", "settings", "seed")
            },
        }
        for file, result in row.results.items()
    ]
    return {**facts, "cells": cells, "commands": row.commands, "results": results}
