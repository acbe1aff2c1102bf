"""Arrange results files as the paper's tables, with mean and deviation over seeds.

Examples:
    selfpatch table work_dirs
    selfpatch table work_dirs --layout coco --format latex --out coco.tex
    selfpatch table dino/results.json selfpatch/results.json --format json
    selfpatch table --layout ablations

Two results that differ in nothing but their seeds are averaged; SelfPatch is compared with the same
method without it. What nothing was measured for is a dash, with the command that would make it.
docs/tables.md says what counts as equal, and how intervals are computed.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from selfpatch.atomic import atomic_write
from selfpatch.errors import InputError
from selfpatch.results.facts import to_csv, to_json
from selfpatch.results.file import read_results
from selfpatch.results.formats import to_latex, to_markdown, to_text
from selfpatch.results.layouts import LAYOUTS, build_tables
from selfpatch.results.table import Tables

FORMATS: dict[str, Callable[[Tables], str]] = {
    "text": to_text,
    "markdown": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "json": to_json,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("results", nargs="*", help="results files, or folders to search for them")
    parser.add_argument(
        "--layout",
        choices=(*LAYOUTS, "all"),
        default="all",
        help="one of the paper's tables, whole; or whatever there are results for",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="how it is written")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there instead of printing")


def run(args: argparse.Namespace) -> None:
    """Read, arrange and print."""
    results = read_results(args.results)
    if not results and args.layout == "all":
        below = f" below {', '.join(args.results)}" if args.results else ""
        raise InputError(
            f"no results.json{below}; run a task first, or name a --layout to see its rows"
        )
    text = FORMATS[args.format](build_tables(results, args.layout))
    if args.out is None:
        print(text.rstrip("\n"))
        return
    with atomic_write(args.out) as file:
        file.write(f"{text.rstrip()}\n".encode())
    print(f"table: {args.out}")
