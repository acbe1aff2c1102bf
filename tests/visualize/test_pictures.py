"""Drawings against their laws."""

import numpy as np
import torch
from PIL import Image

from selfpatch.visualize.pictures import (
    distinct_colors,
    draw_instances,
    frame_patch,
    heat,
    highlight,
    paint_labels,
    paint_objects,
)

PICTURE = Image.fromarray(np.full((40, 60, 3), 100, np.uint8))


def test_drawings_keep_the_size_of_the_image():
    assert heat(PICTURE, torch.rand(4, 6), (1, 2)).size == (60, 40)
    assert heat(PICTURE, torch.ones(4, 6)).size == (60, 40)
    assert highlight(PICTURE, torch.rand(4, 6) > 0.5, (0, 0)).size == (60, 40)
    drawn = draw_instances(PICTURE, [[50, 2, 30, 20]], ["a label"], [np.ones((40, 60))])
    assert drawn.size == (60, 40)


def test_highlight_leaves_the_chosen_places_as_they_are():
    chosen = torch.zeros(4, 6, dtype=torch.bool)
    chosen[0, 0] = True
    drawn = np.asarray(highlight(PICTURE, chosen))
    assert (drawn[:10, :10] == 100).all()
    assert (drawn[10:, 10:] < 60).all()


def test_a_label_without_a_colour_is_not_painted():
    labels = np.full((40, 60), 255, np.uint8)
    labels[0, 0], labels[5, 7] = 3, 4
    drawn = np.asarray(paint_labels(PICTURE, labels, {3: (200, 0, 0), 4: (0, 40, 100)}, 0.5))
    assert drawn[0, 0].tolist() == [150, 50, 50]
    assert drawn[5, 7].tolist() == [50, 70, 100]
    assert (drawn != 100).any(axis=2).sum() == 2


def test_objects_have_davis_colours_and_white_edges():
    objects = np.zeros((40, 60), np.uint8)
    objects[10:20, 10:20], objects[10:20, 20:30] = 1, 2
    drawn = np.asarray(paint_objects(PICTURE, objects))
    assert drawn[15, 15].tolist() == [114, 50, 50]
    assert drawn[15, 25].tolist() == [50, 114, 50]
    assert (drawn[10, 10:30] == 255).all()  # where object 1 or 2 begins
    assert (drawn[11:20, [10, 20, 30]] == 255).all()
    assert (drawn[:10] == 100).all()


def test_a_hundred_colours_are_all_different():
    assert len(set(distinct_colors(100))) == 100


def test_a_frame_lies_around_its_patch():
    drawn = np.asarray(frame_patch(PICTURE, (1, 2), (4, 6)))  # rows 10-19, columns 20-29
    assert (drawn[10:20, 20:30] == 100).all()
    assert drawn[9, 25].tolist() == drawn[15, 30].tolist() == [230, 40, 40]
    assert drawn[7, 25].tolist() == [255, 255, 255]
    assert (drawn[:5] == 100).all()
