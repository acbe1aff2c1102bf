"""Masks -> J, F and J&F, equal to the official DAVIS-2017 evaluation."""

import csv
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from davis_eval.masks import objects, read_mask, visible
from davis_eval.sequences import find_masks
from selfpatch.atomic import atomic_write
from selfpatch.errors import InputError

BOUNDARY_TOLERANCE = 0.008
"""Distance at which two boundaries still meet, as a share of the image's diagonal."""


@dataclass(frozen=True)
class Statistics:
    """What is reported of a measure's values over the frames of an object.

    Attributes:
        mean: Mean over frames.
        recall: Share of frames above 0.5.
        decay: Mean of the first quarter minus mean of the last.
    """

    mean: float
    recall: float
    decay: float


@dataclass(frozen=True)
class ObjectScores:
    """Region similarity J and boundary accuracy F of one object."""

    region: Statistics
    boundary: Statistics


def score(davis: Path, results: Path, names: Sequence[str]) -> dict[str, ObjectScores]:
    """Score every object of every sequence.

    Args:
        davis: Folder in DAVIS's layout.
        results: Folder with a folder of masks per sequence.
        names: The sequences.

    Returns:
        ``<sequence>_<k>`` -> scores of the object with label k.

    Raises:
        InputError: A file is missing, unreadable or does not fit the truth.
    """
    scores = {}
    for name in names:
        for label, scored in score_sequence(davis, results, name).items():
            scores[f"{name}_{label}"] = scored
    return scores


def score_sequence(davis: Path, results: Path, name: str) -> dict[int, ObjectScores]:
    """Score each object of the first mask, by its label; first and last frame do not count."""
    truth = find_masks(davis, name)
    labels = objects(read_mask(truth[0]))
    if not labels:
        raise InputError(f"{truth[0]} shows no object; there is nothing to score in {name}")
    if len(truth) < 3:
        raise InputError(f"{truth[0].parent} holds {len(truth)} masks; scoring takes at least 3")

    def score_frame(true: Path, found: Path) -> list[tuple[float, float]]:
        return list(score_objects(*read_pair(true, found, labels), labels))

    return dict(zip(labels, score_pairs(truth[1:-1], results / name, score_frame), strict=True))


def score_pairs(
    truth: Sequence[Path],
    results: Path,
    score_frame: Callable[[Path, Path], list[tuple[float, float]]],
) -> list[ObjectScores]:
    """Score each object over the frames of ``truth``, whose results lie in ``results``."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        scored = pool.map(lambda path: score_frame(path, results / f"{path.stem}.png"), truth)
        values = np.array(list(scored))  # (frames, objects, 2)
    return [
        ObjectScores(statistics(values[:, k, 0]), statistics(values[:, k, 1]))
        for k in range(values.shape[1])
    ]


def read_pair(truth: Path, result: Path, labels: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Read one frame's true and resulting labels, both uint8 (H, W).

    Raises:
        InputError: The result is missing, of another size, or holds an object that the sequence
            does not have.
    """
    expected, found = visible(read_mask(truth)), read_mask(result)
    if found.shape != expected.shape:
        (height, width), (rows, columns) = found.shape, expected.shape
        raise InputError(f"{result} is {width}x{height}, but {truth} is {columns}x{rows}")
    more = set(np.unique(found).tolist()) - {0, *labels}
    if more:
        raise InputError(
            f"{result} holds object {max(more)}, but the sequence has"
            f" {', '.join(map(str, labels))} only"
        )
    return expected, found


def score_objects(
    truth: np.ndarray, result: np.ndarray, labels: Sequence[int]
) -> Iterator[tuple[float, float]]:
    """J and F of each object in one frame; both masks are uint8 labels (H, W)."""
    radius = tolerance(truth.shape)
    for label in labels:
        true, found = truth == label, result == label
        box = bounding_box(true | found)
        if box is None:  # seen in neither: they agree
            yield 1.0, 1.0
            continue
        # Nothing outside the box and one pixel around it has a boundary.
        true_edge, found_edge = (edge(mask, box) for mask in (true, found))
        yield (
            region_similarity(true[box], found[box]),
            boundary_accuracy(true_edge, found_edge, radius),
        )


def tolerance(shape: tuple[int, ...]) -> int:
    """Distance in pixels at which two boundaries still meet, in an image of this shape."""
    return math.ceil(BOUNDARY_TOLERANCE * math.hypot(*shape))


def bounding_box(mask: np.ndarray) -> tuple[slice, slice] | None:
    """The smallest box around a mask (H, W), and a pixel more where the image has one."""
    rows = np.flatnonzero(mask.any(1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(0))
    return (
        slice(max(rows[0] - 1, 0), min(rows[-1] + 2, mask.shape[0])),
        slice(max(columns[0] - 1, 0), min(columns[-1] + 2, mask.shape[1])),
    )


def region_similarity(true: np.ndarray, found: np.ndarray) -> float:
    """J: intersection over union of two masks (H, W) that are not both empty."""
    return float(np.count_nonzero(true & found) / np.count_nonzero(true | found))


def edge(mask: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
    """The boundary of ``mask`` within ``box``: pixels unlike the next to the right or below.

    Pixels beyond the image are like those at its border, as in the official evaluation.
    """
    inside = np.pad(mask[box], ((0, 1), (0, 1)), mode="edge")
    here = inside[:-1, :-1]
    return (here != inside[:-1, 1:]) | (here != inside[1:, :-1]) | (here != inside[1:, 1:])


def boundary_accuracy(true_edge: np.ndarray, found_edge: np.ndarray, radius: int) -> float:
    """F: harmonic mean of precision and recall of the boundary pixels, up to ``radius`` pixels."""
    num_true, num_found = np.count_nonzero(true_edge), np.count_nonzero(found_edge)
    if num_true == 0 or num_found == 0:
        # A boundary that is not there is precise, and one that is not asked for is recalled, but
        # never both: only two missing boundaries agree.
        return 1.0 if num_true == num_found else 0.0
    precision = count_near(found_edge, true_edge, radius) / num_found
    recall = count_near(true_edge, found_edge, radius) / num_true
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def count_near(pixels: np.ndarray, others: np.ndarray, radius: int) -> int:
    """How many of ``pixels`` (H, W) have one of ``others`` within ``radius`` (Euclidean).

    A disk is a stack of horizontal runs, and running sums along the rows tell of every run at once
    whether it is empty; only the places of ``pixels`` are looked at.
    """
    padded = np.pad(others, radius)
    sums = np.zeros((padded.shape[0], padded.shape[1] + 1), dtype=np.int32)
    np.cumsum(padded, axis=1, out=sums[:, 1:])
    rows, columns = pixels.nonzero()
    found = np.zeros(len(rows), dtype=bool)
    for down in sorted(range(-radius, radius + 1), key=abs):
        reach = math.isqrt(radius**2 - down**2)
        row, start = rows[~found] + radius + down, columns[~found] + radius - reach
        found[~found] = sums[row, start + 2 * reach + 1] > sums[row, start]
    return int(found.sum())


def statistics(values: np.ndarray) -> Statistics:
    """Mean, recall and decay of an object's values over frames, with the official quarters."""
    # The official code keeps these places in 8 bits; they are the same up to 256 frames.
    bounds = np.round(np.linspace(1, len(values), 5) + 1e-10).astype(int) - 1
    first, last = values[: bounds[1] + 1], values[bounds[3] : bounds[4] + 1]
    return Statistics(
        mean=float(values.mean()),
        recall=float((values > 0.5).mean()),
        decay=float(first.mean() - last.mean()),
    )


def summary(scores: dict[str, ObjectScores]) -> dict[str, Any]:
    """Means over all objects, per sequence and per object, by the official names; in 0 ... 1."""
    measures = {"J": "region", "F": "boundary"}
    overall: dict[str, Any] = {}
    for letter, attribute in measures.items():
        of = [getattr(scored, attribute) for scored in scores.values()]
        for name in ("mean", "recall", "decay"):
            values = [getattr(values, name) for values in of]
            overall[f"{letter}-{name.capitalize()}"] = float(np.mean(values))
    per_object = {
        name: {"J-Mean": scored.region.mean, "F-Mean": scored.boundary.mean}
        for name, scored in scores.items()
    }
    sequences: dict[str, list[dict[str, float]]] = {}
    for name, means in per_object.items():
        sequences.setdefault(name.rpartition("_")[0], []).append(means)
    per_sequence = {
        name: {key: float(np.mean([each[key] for each in objects])) for key in objects[0]}
        for name, objects in sequences.items()
    }
    return {
        "J&F-Mean": (overall["J-Mean"] + overall["F-Mean"]) / 2,
        **overall,
        "per_sequence": per_sequence,
        "per_object": per_object,
    }


def write_scores(path: Path, result: dict[str, Any]) -> None:
    """Write the summary as JSON, and beside it the official package's two CSV files."""
    with atomic_write(path, "w") as file:
        json.dump(result, file, indent=1)
    overall = {key: value for key, value in result.items() if not key.startswith("per_")}
    with atomic_write(path.with_name("global_results-val.csv"), "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(overall)
        writer.writerow(f"{value:.3f}" for value in overall.values())
    with atomic_write(path.with_name("per-sequence_results-val.csv"), "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["Sequence", "J-Mean", "F-Mean"])
        for name, values in result["per_object"].items():
            writer.writerow([name, f"{values['J-Mean']:.3f}", f"{values['F-Mean']:.3f}"])
