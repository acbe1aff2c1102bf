"""The other protocols of DAVIS: one object per video (2016), and proposals without a first mask."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from davis_eval.masks import VOID, objects, read_mask, visible
from davis_eval.scores import (
    ObjectScores,
    boundary_accuracy,
    bounding_box,
    edge,
    region_similarity,
    score,
    score_objects,
    score_pairs,
    statistics,
    tolerance,
)
from davis_eval.sequences import find_masks
from selfpatch.errors import InputError

MAX_PROPOSALS = 20
"""Objects that a result of the unsupervised protocol may hold."""


def score_single_object(
    davis: Path, results: Path, names: Sequence[str]
) -> dict[str, ObjectScores]:
    """DAVIS-2016: all objects of a video are one, in truth and result.

    Like the other protocols, raises InputError where a file is missing or does not fit.
    """

    def score_frame(truth: Path, result: Path) -> list[tuple[float, float]]:
        expected, found = visible(read_mask(truth)) > 0, visible(read_mask(result)) > 0
        check_size(truth, expected, result, found)
        return list(score_objects(expected.astype(np.uint8), found.astype(np.uint8), [1]))

    scores = {}
    for name in names:
        truth = find_masks(davis, name)[1:-1]
        if not truth:
            raise InputError(f"{name} has fewer than 3 masks; scoring takes at least 3")
        (scores[f"{name}_1"],) = score_pairs(truth, results / name, score_frame)
    return scores


def score_unsupervised(davis: Path, results: Path, names: Sequence[str]) -> dict[str, ObjectScores]:
    """DAVIS-2019: proposals over all frames, assigned to objects so that the mean J&F is best.

    Void pixels count neither as object nor as background.

    Raises:
        InputError: A file is missing or does not fit, or a video has more than 20 proposals.
    """
    scores = {}
    for name in names:
        for label, scored in score_proposals(davis, results / name, name).items():
            scores[f"{name}_{label}"] = scored
    return scores


def score_proposals(davis: Path, result: Path, name: str) -> dict[int, ObjectScores]:
    """Score each object of one video, by its label, against the proposal it is assigned."""
    truth = find_masks(davis, name, annotations="Annotations_unsupervised")
    results = [result / f"{path.stem}.png" for path in truth]
    found = [read_mask(path) for path in results]
    expected = [read_mask(path) for path in truth]
    for path, true, answer, proposed in zip(truth, expected, results, found, strict=True):
        check_size(path, true, answer, proposed)
    from scipy.optimize import linear_sum_assignment  # which takes longer to import than to score

    labels = objects(expected[0])
    if not labels:
        raise InputError(f"{truth[0]} shows no object; there is nothing to score in {name}")
    proposals = sorted(set().union(*(objects(mask) for mask in found)))
    if len(proposals) > MAX_PROPOSALS:
        raise InputError(f"{result} holds {len(proposals)} proposals; {MAX_PROPOSALS} are allowed")
    nothing = [-1] * (len(labels) - len(proposals))  # for objects that nobody proposed

    def score_frame(pair: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        return np.array([
            [score_pair(pair[0] == k, pair[1] == p, pair[0] == VOID) for p in proposals + nothing]
            for k in labels
        ])  # fmt: skip

    with ThreadPoolExecutor() as pool:
        frames = list(pool.map(score_frame, zip(expected, found, strict=True)))
    values = np.stack(frames)  # (frames, objects, proposals, 2)
    rows, columns = linear_sum_assignment(values.mean((0, 3)), maximize=True)
    return {
        labels[k]: ObjectScores(*(statistics(values[:, k, p, measure]) for measure in (0, 1)))
        for k, p in zip(rows, columns, strict=True)
    }


def score_pair(true: np.ndarray, found: np.ndarray, void: np.ndarray) -> tuple[float, float]:
    """J and F of two masks (H, W), void pixels taken out of both."""
    found = found & ~void
    box = bounding_box(true | found)
    if box is None:
        return 1.0, 1.0
    edges = (edge(true, box), edge(found, box))
    return region_similarity(true[box], found[box]), boundary_accuracy(
        *edges, tolerance(true.shape)
    )


def check_size(truth: Path, expected: np.ndarray, result: Path, found: np.ndarray) -> None:
    """Refuse a mask of another size than the true one."""
    if found.shape != expected.shape:
        (height, width), (rows, columns) = found.shape, expected.shape
        raise InputError(f"{result} is {width}x{height}, but {truth} is {columns}x{rows}")


Scorer = Callable[[Path, Path, Sequence[str]], dict[str, ObjectScores]]

SCORERS: dict[str, tuple[str, Scorer]] = {
    "semi-supervised": ("2017", score),
    "single-object": ("2016", score_single_object),
    "unsupervised": ("2019", score_unsupervised),
}
"""Year of the list of videos, and what scores them, by protocol."""
