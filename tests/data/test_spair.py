"""SPair-71k's files, as its authors lay them out, and what is wrong with others."""

import json

import numpy as np
import pytest
from PIL import Image

from selfpatch.data.spair import SpairPairs
from selfpatch.errors import InputError
from tests.data.drawn_pairs import write_pair

POINTS = np.array([[3, 4], [20, 5], [11, 17]])


@pytest.fixture
def root(tmp_path):
    """Two pairs of three images of cats, one of dogs; a pair of another split."""
    images = [Image.new("RGB", (40, 30 + n), (40 * n, 0, 0)) for n in range(3)]
    sides = [(f"2008_{n}", image, POINTS + n) for n, image in enumerate(images)]
    write_pair(tmp_path, 1, "cat", sides[0], sides[1])
    write_pair(tmp_path, 2, "cat", sides[2], sides[1])
    write_pair(tmp_path, 3, "dog", sides[0], sides[2])
    write_pair(tmp_path, 4, "dog", sides[0], sides[2], split="val")
    return tmp_path


def test_pairs_are_what_their_files_say(root):
    spair = SpairPairs(root, "test")
    assert spair.categories == ["cat", "dog"]
    first, second, third = spair.pairs
    assert first.name == "000001-2008_0-2008_1:cat"
    assert (first.source, first.target) == (0, 1)
    assert (second.source, second.target) == (2, 1)  # the same image has the same number
    assert (third.source, third.target) == (3, 4)  # of another category, another file
    assert spair.sizes[:3] == [(30, 40), (31, 40), (32, 40)]  # height, width
    assert spair.files[4] == root / "JPEGImages/dog/2008_2.jpg"
    np.testing.assert_array_equal(first.source_points, POINTS)
    np.testing.assert_array_equal(first.target_points, POINTS + 1)
    assert first.target_side == 17  # 20 - 3, and 17 - 4 is less
    assert spair.image(1).size == (40, 31)
    assert len(SpairPairs(root, "val")) == 1


def test_a_folder_without_pairs_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no pair"):
        SpairPairs(tmp_path, "test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"src_kps": None}, "is no pair of SPair-71k"),
        ({"trg_kps": [[1, 2]]}, "3 keypoints in one image, 1 in the other"),
        ({"trg_bndbox": [5, 5, 5, 5]}, "a box of 0 pixels"),
        ({"trg_imsize": [40, 99, 3]}, "another size elsewhere"),
        ("{", "is no pair of SPair-71k"),
    ],
)
def test_a_damaged_pair_is_named(root, change, message):
    file = root / "PairAnnotation/test/000002-2008_2-2008_1:cat.json"
    content = json.loads(file.read_text())
    file.write_text(change if isinstance(change, str) else json.dumps(content | change))
    with pytest.raises(InputError, match=message) as refusal:
        SpairPairs(root, "test")
    assert str(file) in str(refusal.value)


def test_an_image_of_another_size_is_refused(root):
    spair = SpairPairs(root, "test")
    Image.new("RGB", (80, 60)).save(spair.files[0])
    with pytest.raises(InputError, match="is 80x60, its pairs say 40x30"):
        spair.image(0)
