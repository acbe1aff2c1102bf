"""True and resulting masks of a video -> its objects' scores, by the protocol that is asked for.

DAVIS-2017's own is :func:`davis_eval.scores.score_sequence`.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from davis_eval.masks import VOID, objects, occurring, read_ids, read_mask, visible
from davis_eval.scores import (
    ObjectScores,
    check_size,
    counted,
    object_scores,
    score_mask,
    score_objects,
    score_pairs,
    score_sequence,
    tolerance,
)
from davis_eval.sequences import MASKS, files_in_order, find_masks, result_of
from selfpatch.errors import InputError

MAX_PROPOSALS = 20
"""Objects that a result of the unsupervised protocol may hold."""


def score_single_object(truth: Path, results: Path, name: str) -> dict[str, ObjectScores]:
    """DAVIS-2016: all objects of a video are one, in truth and result.

    Arguments, result and errors are those of :func:`davis_eval.scores.score_sequence`.
    """

    def score_frame(true: Path, result: Path) -> list[tuple[float, float]]:
        expected, found = visible(read_mask(true)) > 0, visible(read_mask(result)) > 0
        check_size(true, expected, result, found)
        return [score_mask(expected, found, tolerance(expected.shape))]

    files = files_in_order(truth / name, MASKS)
    if len(files) == 1:
        return {}
    return {f"{name}_1": score_pairs(counted(files), results / name, score_frame)[0]}


def score_unsupervised(truth: Path, results: Path, name: str) -> dict[str, ObjectScores]:
    """DAVIS-2019: proposals over all frames, assigned to objects so that the mean J&F is best.

    Void pixels count neither as object nor as background.

    Raises:
        InputError: A file is missing or does not fit, or the video has more than 20 proposals.
    """
    files = files_in_order(truth / name, MASKS)
    answers = [result_of(results / name, path) for path in files]
    found = [read_mask(path) for path in answers]
    expected = [read_mask(path) for path in files]
    for path, true, answer, proposed in zip(files, expected, answers, found, strict=True):
        check_size(path, true, answer, proposed)
    labels = objects(expected[0])
    if not labels:
        raise InputError(f"{files[0]} shows no object; there is nothing to score in {name}")
    proposals = sorted(set().union(*(objects(mask) for mask in found)))
    if len(proposals) > MAX_PROPOSALS:
        raise InputError(
            f"{results / name} holds {len(proposals)} proposals; {MAX_PROPOSALS} are allowed"
        )
    scored = assigned(expected, found, labels, proposals)
    return {f"{name}_{label}": scores for label, scores in scored.items()}


def assigned(
    expected: Sequence[np.ndarray],
    found: Sequence[np.ndarray],
    labels: Sequence[int],
    proposals: Sequence[int],
) -> dict[int, ObjectScores]:
    """Label -> scores of the object with the proposal that it is assigned."""
    from scipy.optimize import linear_sum_assignment  # which takes longer to import than to score

    nothing = [-1] * (len(labels) - len(proposals))  # for objects that nobody proposed
    values = np.array([
        [
            [score_pair(true == k, mask == p, true == VOID) for p in [*proposals, *nothing]]
            for k in labels
        ]
        for true, mask in zip(expected, found, strict=True)
    ])  # (frames, objects, proposals, 2)  # fmt: skip
    rows, columns = linear_sum_assignment(values.mean((0, 3)), maximize=True)
    return {labels[k]: object_scores(values[:, k, p]) for k, p in zip(rows, columns, strict=True)}


def score_pair(true: np.ndarray, found: np.ndarray, void: np.ndarray) -> tuple[float, float]:
    """J and F of two masks (H, W), void pixels taken out of both."""
    return score_mask(true, found & ~void, tolerance(true.shape))


def score_tracks(truth: Path, results: Path, name: str) -> dict[str, ObjectScores]:
    """Other data sets' masks, as vos-benchmark scores them, and SAM 2's evaluator those of SA-V.

    Objects may have any label up to 255 and appear late: each counts from the first frame on that
    shows it in truth or result. A video's, or with a folder per object an object's, first and last
    true mask do not count; frames without a true mask do not either.

    Arguments, result and errors are those of :func:`davis_eval.scores.score_sequence`.
    """
    scores = {}
    for object_name, files in find_masks(truth / name).items():
        if has_truth(files):
            scored = score_labels(files, results / name / object_name, bool(object_name))
            for label, of in scored.items():
                scores[f"{name}_{object_name or label}"] = of
    return scores


def has_truth(files: Sequence[Path]) -> bool:
    """Whether a mask after the first shows no object for the first time: it is to be compared with.

    The first one says where tracking begins, also where it shows no object yet.
    """
    seen = set(objects(read_mask(files[0])))
    for path in files[1:]:
        labels = set(objects(read_mask(path)))
        if labels <= seen:
            return True
        seen |= labels
    return False


def score_labels(files: Sequence[Path], results: Path, one_object: bool) -> dict[int, ObjectScores]:
    """Score each object that the masks in ``files`` show, by its label.

    Args:
        files: True masks.
        results: Folder of the resulting ones.
        one_object: Whether all labels are one object.
    """
    values: dict[int, list[tuple[float, float]]] = defaultdict(list)
    known: set[int] = set()
    for path in counted(files):
        answer = result_of(results, path)
        true, found = read_ids(path), read_ids(answer)
        check_size(path, true, answer, found)
        if one_object:
            true, found = (true > 0).astype(np.uint8), (found > 0).astype(np.uint8)
        shown = set(occurring(true)) - {0}
        known |= shown
        labels = sorted({*values, *shown, *occurring(found)} - {0})
        for label, scored in zip(labels, score_objects(true, found, labels), strict=True):
            values[label].append(scored)
    check_known(set(values) - known, files, results)
    if not known:
        raise InputError(f"{files[0].parent} shows no object between its first and last mask")
    return {label: object_scores(np.array(values[label])) for label in sorted(known)}


def check_known(labels: set[int], files: Sequence[Path], results: Path) -> None:
    """Refuse results with objects that no true mask shows; first and last one may."""
    further = labels.difference(*(occurring(read_ids(files[at])) for at in (0, -1)))
    if further:
        raise InputError(f"{results} holds object {max(further)}, but {files[0].parent} does not")


Scorer = Callable[[Path, Path, str], dict[str, ObjectScores]]


@dataclass(frozen=True)
class Protocol:
    """How DAVIS scores: year of its list of videos, folder of true masks, scorer of a video."""

    year: str
    truth: str
    score: Scorer


PROTOCOLS = {
    "semi-supervised": Protocol("2017", "Annotations/480p", score_sequence),
    "single-object": Protocol("2016", "Annotations/480p", score_single_object),
    "unsupervised": Protocol("2019", "Annotations_unsupervised/480p", score_unsupervised),
}
"""DAVIS's protocols, by the names of :data:`davis_eval.settings.PROTOCOLS`."""
