"""What the checks of SPair-71k and NYU find: nothing in whole data, each damage by its name."""

import numpy as np
import pytest
from PIL import Image

from selfpatch.check.nyu import check_nyu
from selfpatch.check.spair import check_spair
from tests.data.drawn_depths import as_listed, draw_depths, save_depth
from tests.data.drawn_pairs import write_pair


@pytest.fixture
def spair(tmp_path):
    image, points = Image.new("RGB", (40, 30)), np.array([[1, 2], [20, 21]])
    for split in ("trn", "val", "test"):
        write_pair(tmp_path, 1, "cat", ("a", image, points), ("b", image, points), split)
    return tmp_path


@pytest.fixture
def rooms(tmp_path):
    return draw_depths(tmp_path / "rooms", train=2, test=2)


def errors(findings) -> list[str]:
    return [finding.text for finding in findings if finding.level == "error"]


def test_whole_folders_have_no_error(spair, rooms, tmp_path):
    assert errors(check_spair(spair)) == []
    assert errors(check_nyu(rooms)) == []
    listed = as_listed(rooms, tmp_path / "listed", lambda rgb, depth: f"{rgb} {depth} 518.8579")
    assert errors(check_nyu(listed)) == []
    counts = [finding.text for finding in check_nyu(rooms)]
    assert counts[1].startswith("2 test images; the official data set has 654")


def test_damage_to_pairs_is_named(spair):
    (spair / "JPEGImages/cat/b.jpg").unlink()
    assert len(errors(check_spair(spair))) == 3  # in each split
    assert "cat/b.jpg" in errors(check_spair(spair))[0]
    next((spair / "PairAnnotation/val").iterdir()).write_text("{")
    assert "is no pair of SPair-71k" in errors(check_spair(spair))[1]
    assert "PairAnnotation/trn does not exist" in errors(check_spair(spair / "JPEGImages"))[0]


def test_damage_to_depths_is_named(rooms):
    path = rooms / "annotations/test/room_1.png"
    save_depth(path, np.full((96, 128), 40_000))
    (found,) = errors(check_nyu(rooms))
    assert str(path) in found
    assert "no depth between 1 mm and 10 m" in found
    path.unlink()
    (found,) = errors(check_nyu(rooms))
    assert "has no file for room_1" in found
