"""Print one table of results files.

Example:
    python tools/table.py work_dirs/demo
    python tools/table.py dino/results.json selfpatch/results.json --format markdown
"""

import argparse

from selfpatch.errors import InputError, exit_with_sentence
from selfpatch.results.file import read_results
from selfpatch.results.formats import to_html, to_markdown, to_text
from selfpatch.results.table import build_table

FORMATS = {"text": to_text, "markdown": to_markdown, "html": to_html}


def main() -> None:
    """Read the command line, the results files, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", help="results files, or folders to search for them")
    parser.add_argument("--format", choices=FORMATS, default="text")
    args = parser.parse_args()
    with exit_with_sentence():
        results = read_results(args.results)
        if not results:
            raise InputError(f"no results.json below {', '.join(args.results)}; run a task first")
        print(FORMATS[args.format](build_table(results)))


if __name__ == "__main__":
    main()
