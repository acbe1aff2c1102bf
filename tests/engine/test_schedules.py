"""Schedules by hand."""

import pytest

from selfpatch.engine.schedules import Schedule, cosine, linear_warmup, warmup_cosine


def test_schedules_by_hand():
    assert [warmup_cosine(step, 8, 3, 0.5, 2.5, 0.0) for step in (0, 1, 2, 3)] == [
        0.5, 1.5, 2.5, 2.5
    ]  # fmt: skip
    assert cosine(2, 4, 1.0, 0.0) == pytest.approx(0.5)
    assert [linear_warmup(step, 3, 0.0, 4.0) for step in range(5)] == [0.0, 2.0, 4.0, 4.0, 4.0]


def test_the_shortest_warm_ups_end_at_the_peak():
    assert [warmup_cosine(step, 8, 2, 0.0, 2.0, 0.0) for step in (0, 1, 2)] == [0.0, 2.0, 2.0]
    assert [warmup_cosine(step, 8, 1, 0.5, 2.0, 0.0) for step in (0, 1)] == [0.5, 2.0]
    assert [linear_warmup(step, 2, 1.0, 4.0) for step in range(3)] == [1.0, 4.0, 4.0]
    assert [linear_warmup(step, 0, 1.0, 4.0) for step in range(2)] == [4.0, 4.0]


def test_a_schedule_by_hand():
    """8 steps in 4 epochs of 128 images a step: 2 epochs of warm-up, 1 with frozen prototypes."""
    schedule = Schedule(
        num_steps=8, steps_per_epoch=2, images_per_step=128, lr=0.2, start_lr=0.01, end_lr=0.0,
        warmup_epochs=2, weight_decay=(0.1, 0.5), momentum=(0.9, 1.0), teacher_temp=(0.04, 0.07),
        teacher_temp_warmup_epochs=3, freeze_last_layer_epochs=1,
    )  # fmt: skip
    settings = [schedule(step) for step in range(8)]
    assert [s.lr for s in settings[:5]] == pytest.approx([0.01, 0.04, 0.07, 0.1, 0.1])
    assert settings[6].lr == pytest.approx(0.05)
    assert [settings[step].weight_decay for step in (0, 4)] == pytest.approx([0.1, 0.3])
    assert [settings[step].momentum for step in (0, 4)] == pytest.approx([0.9, 0.95])
    temps = [0.04, 0.04, 0.055, 0.055, 0.07, 0.07, 0.07, 0.07]
    assert [s.teacher_temp for s in settings] == pytest.approx(temps)
    assert [s.last_layer_frozen for s in settings] == [True] * 2 + [False] * 6


def test_an_objective_without_prototypes_has_a_temperature_of_one_and_freezes_nothing():
    schedule = Schedule(
        num_steps=4, steps_per_epoch=2, images_per_step=256, lr=0.1, start_lr=0.0, end_lr=0.0,
        warmup_epochs=0, weight_decay=(0.0, 0.0), momentum=(0.9, 0.9),
    )  # fmt: skip
    assert {schedule(step).teacher_temp for step in range(4)} == {1.0}
    assert not any(schedule(step).last_layer_frozen for step in range(4))
