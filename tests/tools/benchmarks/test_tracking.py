"""What the benchmarks of tracking and scoring compare."""

import numpy as np
import torch

from davis_eval.masks import read_mask
from davis_eval.scores import score_objects
from tools.benchmarks.scoring import draw, our_sequence, textbook_frame, textbook_sequence
from tools.benchmarks.tracking import InTurn, Video
from tools.benchmarks.turns import flops


def test_the_textbooks_scores_are_ours(tmp_path):
    for seed, name in enumerate(("truth", "results")):
        draw(tmp_path / name / "v", 3, 2, seed)
    ours = our_sequence(tmp_path / "truth/v", tmp_path / "results/v")
    expected = textbook_sequence(tmp_path / "truth/v", tmp_path / "results/v")
    assert np.abs(ours - expected).max() < 1e-12
    true, found = (read_mask(tmp_path / name / "v/00001.png") for name in ("truth", "results"))
    for labels in ([1, 2], [2, 3]):
        assert textbook_frame(true, found, labels) == list(score_objects(true, found, labels))
    assert textbook_frame(true, true * 0, [1]) == [(0.0, 0.0)]


@torch.inference_mode()
def test_the_textbooks_labels_and_mask_are_ours_and_products_in_threads_are_counted():
    video = Video(32, "cpu")
    torch.testing.assert_close(video.propagation(), video.dense_propagation(), atol=1e-5, rtol=0)
    assert torch.equal(video.mask(), video.plain_mask())
    video.threads = InTurn()
    patches, context = 15 * 26, 8
    assert 0 < flops(video.propagation) < flops(video.dense_propagation)
    products = 2 * patches * context * patches * (384 + 2)
    assert flops(video.dense_propagation) == products
