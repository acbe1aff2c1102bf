"""Logs of pretraining runs -> curves: a panel per value, a colour per model, a line per seed."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from selfpatch.errors import InputError
from selfpatch.visualize.pictures import distinct_colors

Log = Sequence[Mapping[str, Any]]
"""What :func:`selfpatch.results.scalars.read_scalars` gives of one run."""

PANELS = {
    "cls_loss": "image loss",
    "patch_loss": "patch loss",
    "token_similarity": "similarity of two patches of an image",
    "token_rank": "effective rank of the patch tokens",
    "knn_top1": "k-NN top-1 (%)",
    "davis_j_and_f": "DAVIS J&F (%)",
}
"""What is drawn, by the name in the log."""

MOST_POINTS = 1000
"""Points of a line; of more, every second, third, ... is drawn."""


def draw_curves(models: Mapping[str, Sequence[Log]]) -> Figure:
    """One panel per value that any run has logged.

    Args:
        models: Title of each model -> the logs of its seeds.

    Raises:
        InputError: Nothing of it was logged.
    """
    runs = [log for logs in models.values() for log in logs]
    shown = [name for name in PANELS if any(points_of(log, name) for log in runs)]
    if not shown:
        raise InputError(f"the logs hold none of {', '.join(PANELS)}; give pretraining runs")
    rows = -(-len(shown) // 2)
    figure = Figure(figsize=(9, 2.6 * rows), layout="constrained")
    axes = list(figure.subplots(rows, 2, squeeze=False).flat)
    for axis, name in zip(axes[: len(shown)], shown, strict=True):
        draw_panel(axis, models, name)
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3, frameon=False)
    return figure


def draw_panel(axis: Axes, models: Mapping[str, Sequence[Log]], name: str) -> None:
    """One value over the steps; the colour of a model is the same in every panel."""
    for color, (title, logs) in zip(distinct_colors(len(models)), models.items(), strict=True):
        ink = tuple(channel / 255 for channel in color)
        seeds = [points for log in logs if (points := points_of(log, name))]
        for points in seeds if len(seeds) > 1 else ():
            axis.plot(*zip(*thinned(points), strict=True), color=ink, lw=0.7, alpha=0.5)
        middle = thinned(mean_of(seeds))
        marker = "o" if len(middle) < 20 else None
        axis.plot(
            [step for step, _ in middle], [value for _, value in middle],
            color=ink, lw=1.8, marker=marker, ms=3, label=title,
        )  # fmt: skip
    axis.set_title(PANELS[name], fontsize=10, loc="left")
    axis.set_xlabel("iteration", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)


def points_of(log: Log, name: str) -> list[tuple[float, float]]:
    """(step, value) of every line of a log that has the value, as a number."""
    return [(line["step"], line[name]) for line in log if isinstance(line.get(name), int | float)]


def mean_of(seeds: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """The mean over seeds at every step that all of them have."""
    known = [dict(points) for points in seeds]
    steps = sorted(set.intersection(*(set(values) for values in known))) if known else []
    return [(step, float(np.mean([values[step] for values in known]))) for step in steps]


def thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """Every n-th point and the last one, so that there are no more than :data:`MOST_POINTS`."""
    every = -(-len(points) // MOST_POINTS)
    return points if every < 2 else [*points[:-1:every], points[-1]]


def as_svg(figure: Figure) -> str:
    """A figure as SVG, letters as shapes: the same text for the same figure."""
    text = io.StringIO()
    with rc_context({"svg.hashsalt": "selfpatch"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
