"""A run's log -> its logged values."""

import json

import pytest

from selfpatch.errors import InputError
from selfpatch.results.scalars import read_scalars


def write_log(folder, *lines: dict) -> None:
    (folder / "vis_data").mkdir(parents=True)
    (folder / "vis_data/scalars.json").write_text("".join(f"{json.dumps(x)}\n" for x in lines))


def test_what_was_logged_at_one_step_is_one_dict(tmp_path):
    write_log(tmp_path / "20260101_000000", {"step": 2, "loss": 5.0}, {"step": 2, "knn_top1": 9.0})
    assert read_scalars(tmp_path) == [{"step": 2, "loss": 5.0, "knn_top1": 9.0}]


def test_steps_that_a_resumed_run_did_again_count_once_and_last(tmp_path):
    write_log(tmp_path / "20260101_000000", *({"step": s, "loss": 1.0} for s in (1, 2, 3)))
    write_log(tmp_path / "20260102_000000", *({"step": s, "loss": 2.0} for s in (3, 4)))
    values = [(line["step"], line["loss"]) for line in read_scalars(tmp_path)]
    assert values == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]


def test_a_folder_without_a_log_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"holds no .*scalars\.json; give a run's work dir"):
        read_scalars(tmp_path)
