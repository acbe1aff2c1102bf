"""Draw the curves of pretraining runs beside each other.

Examples:
    selfpatch curves work_dirs/dino work_dirs/selfpatch --out curves.png
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from selfpatch.atomic import atomic_write
from selfpatch.errors import InputError
from selfpatch.results.scalars import read_scalars

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = {
    "cls_loss": "image loss",
    "patch_loss": "patch loss",
    "token_similarity": "similarity of two patches of an image",
    "token_rank": "effective rank of the patch tokens",
    "knn_top1": "k-NN top-1 (%)",
    "davis_j_and_f": "DAVIS J&F (%)",
}


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
    runs = {t: read_scalars(path) for t, path in zip(titles, args.work_dirs, strict=True)}
    draw(runs, args.out)


def draw(runs: dict[str, list[dict]], path: Path) -> None:
    """One panel per value that any of the runs has."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    shown = [name for name in PANELS if any(name in line for run in runs.values() for line in run)]
    figure, axes = plt.subplots(
        -(-len(shown) // 2), 2, figsize=(9, 2.6 * -(-len(shown) // 2)), squeeze=False
    )
    for axis, name in zip(axes.flat[: len(shown)], shown, strict=True):
        draw_panel(axis, runs, name)
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    axes.flat[0].legend(frameon=False)
    figure.tight_layout()
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=110)


def draw_panel(axis: "Axes", runs: dict[str, list[dict]], name: str) -> None:
    """One value over the steps of each run; the colour of a run is the same in every panel."""
    for number, (title, lines) in enumerate(runs.items()):
        points = [(line["step"], line[name]) for line in lines if name in line]
        if points:
            marker = "o" if len(points) < 20 else None
            axis.plot(*zip(*points, strict=True), f"C{number}", marker=marker, label=title)
    axis.set_title(PANELS[name], fontsize=10)
    axis.set_xlabel("iteration", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
