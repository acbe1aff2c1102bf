"""Curves: which panels there are, and what their lines say."""

import pytest

from selfpatch.errors import InputError
from selfpatch.report.curves import MOST_POINTS, as_svg, draw_curves, mean_of, thinned

LOG = [{"step": step, "cls_loss": 6.0 - step, "knn_top1": None} for step in (1, 2, 3)]


def test_the_mean_is_taken_where_all_seeds_have_a_value():
    assert mean_of([[(1, 2.0), (2, 4.0)], [(2, 6.0), (3, 1.0)]]) == [(2, 5.0)]
    assert mean_of([]) == []


def test_every_seed_has_a_line_and_every_model_one_colour():
    figure = draw_curves({"DINO": [LOG, LOG], "<b>": [LOG]})
    axis, empty = figure.axes[:2]
    assert axis.get_title(loc="left") == "image loss"
    assert len(axis.lines) == 3 + 1
    colors = [line.get_color() for line in axis.lines]
    assert colors[0] == colors[1] == colors[2] != colors[3]
    assert not empty.lines
    assert not empty.axison
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["DINO", "<b>"]


def test_the_drawing_is_the_same_every_time():
    assert as_svg(draw_curves({"a": [LOG]})) == as_svg(draw_curves({"a": [LOG]}))


def test_a_long_log_is_thinned_and_keeps_its_end():
    points = [(float(step), 0.0) for step in range(25_001)]
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS + 1
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]


def test_logs_of_other_runs_are_one_sentence():
    with pytest.raises(InputError, match="the logs hold none of cls_loss"):
        draw_curves({"detector": [[{"step": 1, "loss_cls": 2.0}]]})
