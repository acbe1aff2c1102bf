"""Draw the curves of pretraining runs beside each other.

Example:
    python tools/curves.py work_dirs/dino work_dirs/selfpatch --out curves.png
"""

import argparse
from pathlib import Path

from selfpatch.atomic import atomic_write
from selfpatch.errors import InputError, exit_with_sentence
from selfpatch.results.scalars import read_scalars


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work_dirs", type=Path, nargs="+", help="work dirs of tools/pretrain.py")
    parser.add_argument("--titles", nargs="+", help="one per run; its folder's name, if left out")
    parser.add_argument("--out", type=Path, required=True, help="picture to write, .png")
    args = parser.parse_args()
    with exit_with_sentence():
        titles = args.titles or [path.name for path in args.work_dirs]
        if len(titles) != len(args.work_dirs):
            raise InputError(f"{len(titles)} titles do not fit {len(args.work_dirs)} runs")
        from selfpatch.report.curves import draw_curves

        named = zip(titles, args.work_dirs, strict=True)
        figure = draw_curves({title: [read_scalars(path)] for title, path in named})
        with atomic_write(args.out) as file:
            figure.savefig(file, format="png", dpi=110)


if __name__ == "__main__":
    main()
