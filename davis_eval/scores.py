"""Masks -> J, F and J&F, equal to the official DAVIS-2017 evaluation."""

import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from davis_eval.masks import objects, occurring, read_mask
from davis_eval.sequences import LAYOUTS, MASKS, files_in_order, result_of
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
    scores: dict[str, ObjectScores] = {}
    for name in names:
        scores |= score_sequence(davis / LAYOUTS["davis"].masks, results, name)
    return scores


def score_sequence(truth: Path, results: Path, name: str) -> dict[str, ObjectScores]:
    """Score each object of the first mask; first and last frame do not count.

    Args:
        truth: Folder with a folder of true masks per sequence.
        results: The same of results.
        name: The sequence.

    Returns:
        Like :func:`score`; nothing where the first mask is the only one.
    """
    files = files_in_order(truth / name, MASKS)
    if len(files) == 1:
        return {}
    labels = objects(read_mask(files[0]))
    if not labels:
        raise InputError(f"{files[0]} shows no object; there is nothing to score in {name}")

    def score_frame(true: Path, found: Path) -> list[tuple[float, float]]:
        return list(score_objects(*read_pair(true, found, labels), labels))

    scored = score_pairs(counted(files), results / name, score_frame)
    return {f"{name}_{label}": scores for label, scores in zip(labels, scored, strict=True)}


def counted(files: Sequence[Path]) -> Sequence[Path]:
    """The masks that count: all but the first and the last; raises InputError if none is left."""
    if len(files) < 3:
        raise InputError(f"{files[0].parent} holds {len(files)} masks; scoring takes at least 3")
    return files[1:-1]


def score_pairs(
    truth: Sequence[Path],
    results: Path,
    score_frame: Callable[[Path, Path], list[tuple[float, float]]],
) -> list[ObjectScores]:
    """Score each object over the frames of ``truth``, whose results lie in ``results``."""
    scored = [score_frame(path, result_of(results, path)) for path in truth]
    values = np.array(scored)  # (frames, objects, 2)
    return [object_scores(values[:, k]) for k in range(values.shape[1])]


def object_scores(values: np.ndarray) -> ObjectScores:
    """The scores of an object from its J and F in each frame (frames, 2)."""
    return ObjectScores(statistics(values[:, 0]), statistics(values[:, 1]))


def read_pair(truth: Path, result: Path, labels: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Read one frame's true and resulting labels, both uint8 (H, W).

    Raises:
        InputError: The result is missing, of another size, or holds an object that the sequence
            does not have.
    """
    expected, found = read_mask(truth), read_mask(result)
    check_size(truth, expected, result, found)
    more = set(occurring(found)) - {0, *labels}
    if more:
        raise InputError(
            f"{result} holds object {max(more)}, but the sequence has"
            f" {', '.join(map(str, labels))} only"
        )
    return expected, found


def check_size(truth: Path, expected: np.ndarray, result: Path, found: np.ndarray) -> None:
    """Refuse a mask of another size than the true one."""
    if found.shape != expected.shape:
        (height, width), (rows, columns) = found.shape, expected.shape
        raise InputError(f"{result} is {width}x{height}, but {truth} is {columns}x{rows}")


def score_objects(
    truth: np.ndarray, result: np.ndarray, labels: Sequence[int]
) -> Iterator[tuple[float, float]]:
    """J and F of each object in one frame; both masks are uint8 labels (H, W)."""
    radius = tolerance(truth.shape)
    shown = bounding_box(truth | result) or (slice(0), slice(0))
    truth, result = truth[shown], result[shown]
    for label in labels:
        yield score_mask(truth == label, result == label, radius)


def score_mask(true: np.ndarray, found: np.ndarray, radius: int) -> tuple[float, float]:
    """J and F of one object's true and resulting mask, both boolean (H, W)."""
    box = bounding_box(true | found)
    if box is None:  # seen in neither: they agree
        return 1.0, 1.0
    # Nothing outside the box, which has one pixel more than the object, has a boundary.
    true, found = true[box], found[box]
    return region_similarity(true, found), boundary_accuracy(edge(true), edge(found), radius)


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


def edge(mask: np.ndarray) -> np.ndarray:
    """The boundary of a mask (H, W): pixels unlike the next to the right, below, or both.

    Pixels beyond the image are like those at its border, as in the official evaluation.
    """
    found = np.zeros_like(mask)
    found[:, :-1] = mask[:, :-1] != mask[:, 1:]
    found[:-1] |= mask[:-1] != mask[1:]
    found[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return found


def boundary_accuracy(true_edge: np.ndarray, found_edge: np.ndarray, radius: int) -> float:
    """F: harmonic mean of precision and recall of the boundary pixels, up to ``radius`` pixels."""
    columns = true_edge.shape[1] + radius
    true, found = packed(true_edge, columns), packed(found_edge, columns)
    if not true or not found:
        # A boundary that is not there is precise, and one that is not asked for is recalled, but
        # never both: only two missing boundaries agree.
        return 1.0 if true == found else 0.0
    precision = (found & dilated(true, columns, radius)).bit_count() / found.bit_count()
    recall = (true & dilated(found, columns, radius)).bit_count() / true.bit_count()
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def packed(mask: np.ndarray, columns: int) -> int:
    """A mask (H, W) as one whole number: a bit per pixel, in rows of ``columns`` from W on."""
    rows = np.zeros((mask.shape[0], columns), dtype=bool)
    rows[:, : mask.shape[1]] = mask
    return int.from_bytes(np.packbits(rows).tobytes(), "big")


def dilated(pixels: int, columns: int, radius: int) -> int:
    """All places within ``radius`` (Euclidean) of a mask's pixels.

    A disk is a stack of horizontal runs, the longest in the middle. One shift moves all pixels at
    once; what it moves beyond a row's end stays within the ``radius`` empty columns after it.

    Args:
        pixels: A mask whose last ``radius`` columns are empty, see :func:`packed`.
        columns: Columns of a row.
        radius: Reach of a pixel.
    """
    runs, found, length = pixels, 0, 0
    for down in range(radius, -1, -1):
        for reach in range(length + 1, math.isqrt(radius**2 - down**2) + 1):
            runs |= pixels << reach | pixels >> reach
            length = reach
        found |= runs << down * columns | runs >> down * columns
    return found


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
