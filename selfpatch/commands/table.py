"""Print one table of results files.

Examples:
    selfpatch table work_dirs/demo
    selfpatch table dino/results.json selfpatch/results.json --format markdown
"""

import argparse

from selfpatch.errors import InputError
from selfpatch.results.file import read_results
from selfpatch.results.formats import to_html, to_markdown, to_text
from selfpatch.results.table import build_table

FORMATS = {"text": to_text, "markdown": to_markdown, "html": to_html}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("results", nargs="+", help="results files, or folders to search for them")
    parser.add_argument("--format", choices=FORMATS, default="text", help="of the table")


def run(args: argparse.Namespace) -> None:
    """Read the results files, and print."""
    results = read_results(args.results)
    if not results:
        raise InputError(f"no results.json below {', '.join(args.results)}; run a task first")
    print(FORMATS[args.format](build_table(results)))
