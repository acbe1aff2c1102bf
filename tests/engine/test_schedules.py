"""Schedules by hand."""

import pytest

from selfpatch.engine.schedules import cosine, linear_warmup, warmup_cosine


def test_schedules_by_hand():
    assert [warmup_cosine(step, 8, 3, 0.5, 2.5, 0.0) for step in (0, 1, 2, 3)] == [
        0.5, 1.5, 2.5, 2.5
    ]  # fmt: skip
    assert cosine(2, 4, 1.0, 0.0) == pytest.approx(0.5)
    assert [linear_warmup(step, 3, 0.0, 4.0) for step in range(5)] == [0.0, 2.0, 4.0, 4.0, 4.0]
