"""Frames and masks as they are read and written."""

import numpy as np
import pytest
from PIL import Image

from davis_eval.frames import read_frame
from davis_eval.masks import read_mask, write_mask
from davis_eval.sequences import find_sequence
from selfpatch.errors import InputError


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "RGBA"])
def test_labels_are_read_from_every_kind_of_png(mode, tmp_path):
    labels = np.arange(6, dtype=np.uint8).repeat(4)[None].repeat(5, axis=0)
    write_mask(tmp_path / "P.png", labels)
    with Image.open(tmp_path / "P.png") as image:
        other = Image.fromarray(labels) if mode == "L" else image.convert(mode)
        other.save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), labels)


def test_a_binary_mask_of_0_and_255_is_one_object(tmp_path):
    mask = np.zeros((4, 6), dtype=np.uint8)
    mask[1:3] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    assert set(np.unique(read_mask(tmp_path / "m.png"))) == {0, 1}


def test_a_greyscale_frame_becomes_rgb(tmp_path):
    Image.fromarray(np.full((4, 6), 9, dtype=np.uint8)).save(tmp_path / "f.png")
    assert read_frame(tmp_path / "f.png").shape == (4, 6, 3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"x\.png does not exist"):
        read_mask(tmp_path / "x.png")


def test_a_mask_without_its_frame_is_named(tmp_path):
    pixels = np.zeros((4, 6), dtype=np.uint8)
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        folder = tmp_path / kind / "480p/dog"
        folder.mkdir(parents=True)
        for number in range(3):
            Image.fromarray(pixels).save(folder / f"{number:05d}.{suffix}")
    assert len(find_sequence(tmp_path, "dog").frames) == 3
    (tmp_path / "JPEGImages/480p/dog/00002.jpg").unlink()
    with pytest.raises(
        InputError, match=r"dog/00002\.jpg does not exist; .*00002\.png is its mask"
    ):
        find_sequence(tmp_path, "dog")
