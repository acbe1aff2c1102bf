"""J, F and their statistics against the official DAVIS-2017 evaluation package."""

import json
from pathlib import Path

import pytest

from davis_eval.scores import score, summary


def agrees(result: dict, golden: dict) -> None:
    for key, value in golden.items():
        if isinstance(value, float) and key != "seconds":
            assert result[key] == pytest.approx(value, abs=1e-9, rel=0), key
    assert result["per_object"].keys() == golden["per_object"].keys()
    for name, values in golden["per_object"].items():
        assert result["per_object"][name] == pytest.approx(values, abs=1e-9, rel=0), name


def test_single_objects_score_as_officially(golden_dir, real_data):
    golden = json.loads((golden_dir / "davis_scores.json").read_text())["single_object"]
    scores = score(real_data / "davis", real_data / "davis_osvos_results", golden["sequences"])
    agrees(summary(scores), golden)


def test_several_objects_score_as_officially(golden_dir, real_data, tmp_path: Path):
    """The truth is a sequence of results itself, the result what it was three frames before."""
    golden = json.loads((golden_dir / "davis_scores.json").read_text())["multi_object_shifted"]
    for name in golden["sequences"]:
        masks = sorted((real_data / "davis_osvos_results" / name).glob("*.png"))
        truth = tmp_path / "davis" / "Annotations" / "480p" / name
        results = tmp_path / "results" / name
        truth.mkdir(parents=True)
        results.mkdir(parents=True)
        for frame, mask in enumerate(masks):
            (truth / f"{frame:05d}.png").symlink_to(mask)
            (results / f"{frame:05d}.png").symlink_to(masks[max(frame - 3, 0)])
    agrees(summary(score(tmp_path / "davis", tmp_path / "results", golden["sequences"])), golden)
