"""Draw the curves of pretraining runs beside each other.

Examples:
    selfpatch curves work_dirs/dino work_dirs/selfpatch --out curves.png
"""

import argparse
from pathlib import Path

from selfpatch.atomic import atomic_write
from selfpatch.errors import InputError
from selfpatch.results.scalars import read_scalars


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("work_dirs", type=Path, nargs="+", help="of `selfpatch pretrain`")
    parser.add_argument("--titles", nargs="+", help="one per run; its folder's name, if left out")
    parser.add_argument("--out", type=Path, required=True, help="picture to write, .png")


def run(args: argparse.Namespace) -> None:
    """Draw."""
    titles = args.titles or [path.name for path in args.work_dirs]
    if len(titles) != len(args.work_dirs):
        raise InputError(f"{len(titles)} titles do not fit {len(args.work_dirs)} runs")
    from selfpatch.report.curves import draw_curves

    named = zip(titles, args.work_dirs, strict=True)
    figure = draw_curves({title: [read_scalars(path)] for title, path in named})
    with atomic_write(args.out) as file:
        figure.savefig(file, format="png", dpi=110)
