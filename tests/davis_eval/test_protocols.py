"""The other protocols: by hand, and against loops over all assignments."""

import itertools

import numpy as np
import pytest

from davis_eval.protocols import score_single_object, score_unsupervised
from davis_eval.scores import score, summary
from selfpatch.errors import InputError
from tests.davis_eval.squares import SIZE, squares, video


def test_a_single_object_is_all_objects_together(tmp_path):
    truth, result = squares(5, 2), squares(5, 1, shift=3)
    video(tmp_path, "v", truth, "Annotations/480p")
    video(tmp_path, "v", result, "results")
    found = score_single_object(tmp_path / "Annotations/480p", tmp_path / "results", "v")
    merged = tmp_path / "merged"
    video(merged, "v", [(mask > 0).astype(np.uint8) for mask in truth], "Annotations/480p")
    assert found == score(merged, tmp_path / "results", ["v"])


def test_proposals_are_assigned_as_the_best_permutation_would(tmp_path):
    truth = squares(6, 3)
    shuffled = [np.select([m == 1, m == 2, m == 3], [3, 1, 2], 0).astype(np.uint8) for m in truth]
    for number, mask in enumerate(shuffled):
        mask[:, :10] = 0
        mask[60:, 60:] = 4 + number % 2  # two proposals nobody asked for
    truth[2][0] = 255
    video(tmp_path, "v", truth, "Annotations_unsupervised/480p")
    video(tmp_path, "v", shuffled, "results")
    truths = tmp_path / "Annotations_unsupervised/480p"
    found = score_unsupervised(truths, tmp_path / "results", "v")
    best = summary(found)["J&F-Mean"]
    totals = []
    for choice in itertools.permutations(range(1, 6), 3):
        relabelled = tmp_path / "".join(map(str, choice))
        masks = [
            np.select([m == c for c in choice], [1, 2, 3], 0).astype(np.uint8) for m in shuffled
        ]
        video(relabelled, "v", masks, "results")
        same = score_unsupervised(truths, relabelled / "results", "v")
        totals.append(summary(same)["J&F-Mean"])
    assert max(totals) == pytest.approx(best)
    assert found["v_1"].region.mean > 0.5


def test_too_many_proposals_are_refused(tmp_path):
    video(tmp_path, "v", squares(3, 1), "Annotations_unsupervised/480p")
    many = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.uint8) % 25
    video(tmp_path, "v", [many.astype(np.uint8)] * 3, "results")
    with pytest.raises(InputError, match="24 proposals; 20 are allowed"):
        score_unsupervised(tmp_path / "Annotations_unsupervised/480p", tmp_path / "results", "v")
