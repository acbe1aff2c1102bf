"""Write one page of tables, curves and pictures from results files and the runs beside them.

Examples:
    selfpatch report work_dirs --out report.html
    selfpatch report results_a results_b --runs work_dirs/pretrain --images photos --out report.html

The page needs nothing beside it and no network. Detections, maps and masks are shown where they lie
beside the results; docs/look.md says how they come there.
"""

import argparse
from pathlib import Path

from selfpatch.commands.parser import positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "results", type=Path, nargs="+", metavar="RESULTS",
        help="results files, or folders to search for them, for backbones and for runs' logs",
    )  # fmt: skip
    parser.add_argument(
        "--runs", type=Path, nargs="+", action="extend", default=[], metavar="WORK_DIR",
        help="more folders with backbones and runs' logs",
    )  # fmt: skip
    parser.add_argument(
        "--images", type=Path, nargs="+", action="extend", default=[], metavar="PATH",
        help="images, or folders of some, to look at with each backbone",
    )  # fmt: skip
    parser.add_argument(
        "--most", type=positive, default=4, metavar="N",
        help="images in the page, evenly spaced over those that there are",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="the page to write, .html")


def run(args: argparse.Namespace) -> None:
    """Read, draw, and write the page."""
    from selfpatch.errors import InputError
    from selfpatch.report.report import Sources, write_report
    from selfpatch.report.seeing import find_images
    from selfpatch.results.file import read_results

    for path in args.runs:
        if not path.is_dir():
            raise InputError(f"{path} is no folder; give a run's work dir")
    results = read_results(args.results)
    if not results:
        raise InputError(
            f"no results.json below {', '.join(map(str, args.results))}; run a task first"
        )
    folders = [path for path in (*args.results, *args.runs) if path.is_dir()]
    images = find_images(args.images, args.most)
    size = write_report(args.out, Sources(results, folders, images), progress=print)
    print(f"page: {args.out} ({size / 1e6:.1f} MB)")
