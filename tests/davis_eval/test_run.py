"""Which objects a video gives, and when."""

import numpy as np

from davis_eval.masks import read_mask
from davis_eval.run import new_objects, segment
from davis_eval.sequences import LAYOUTS, find_sequence, video_names
from davis_eval.settings import Reading, Settings
from selfpatch import build_trunk


def test_only_objects_not_seen_before_are_new():
    one, both = np.array([[0, 1]]), np.array([[2, 1]])
    found = new_objects({0: one, 3: one, 7: both, 9: both})
    assert {number: mask.tolist() for number, mask in found.items()} == {7: [[2, 0]]}


def test_youtube_vos_videos_are_segmented(youtube_vos, tmp_path):
    layout = LAYOUTS["youtube-vos"]
    assert video_names(youtube_vos, layout) == ["v"]
    sequence = find_sequence(youtube_vos, "v", layout)
    assert [number for number, _ in sequence.given(sequence.masks[0])] == [0, 3]
    backbone = build_trunk("vit_tiny", depth=1, patch_size=8, image_size=64).eval()
    segment(backbone, sequence, tmp_path / "out", Settings(reading=Reading(short_side=64)))
    labels = [
        set(np.unique(read_mask(tmp_path / f"out/v/{5 * n:05d}.png"))) - {0} for n in range(6)
    ]
    assert all(2 not in found for found in labels[:3])
    assert 2 in labels[3]
