"""NYU's two layouts, the pixels that count, and what is wrong with others."""

import numpy as np
import pytest
import torch
from PIL import Image

from selfpatch.data.depth import DepthImages, Pair, crop, nyu
from selfpatch.data.segmented import UNLABELLED
from selfpatch.errors import InputError
from tests.data.drawn_depths import as_listed, draw_depths, save_depth


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return draw_depths(tmp_path_factory.mktemp("nyu"))


def one(folder, millimetres: np.ndarray) -> DepthImages:
    """An image with this map."""
    Image.new("RGB", millimetres.shape[::-1]).save(folder / "rgb.jpg")
    save_depth(folder / "depth.png", millimetres)
    return DepthImages([Pair(folder / "rgb.jpg", folder / "depth.png")])


@pytest.mark.parametrize("slash", ["", "/"], ids=["as BTS tests", "as BTS trains"])
def test_both_layouts_give_the_same_images(root, tmp_path, slash):
    listed = as_listed(root, tmp_path, lambda rgb, depth: f"{slash}{rgb} {slash}{depth} 518.8579")
    for split, count in (("train", 6), ("test", 3)):
        folders, lists = nyu(root, split), nyu(listed, split)
        assert len(folders) == len(lists) == count
        for number in range(count):
            assert folders.image(number).tobytes() == lists.image(number).tobytes()
            np.testing.assert_array_equal(folders.labels(number), lists.labels(number))
    assert nyu(root, "test").names() == [f"room_{number}.jpg" for number in range(3)]


def test_the_crop_is_eigens():
    assert crop(480, 640) == (slice(45, 471), slice(41, 601))
    assert crop(240, 320) == (slice(22, 235), slice(20, 300))


def test_millimetres_are_kept_and_what_is_outside_does_not_count(tmp_path):
    millimetres = np.full((480, 640), 2500)
    millimetres[100, 100:105] = [0, 1, 2, 9999, 10000]
    labels = one(tmp_path, millimetres).labels(0)
    assert labels[100, 100:105].tolist() == [UNLABELLED, UNLABELLED, 2, 9999, UNLABELLED]
    inside = labels[45:471, 41:601]
    assert (inside == 2500).sum() == 426 * 560 - 5
    assert (labels != UNLABELLED).sum() == 426 * 560 - 3


def test_the_pixels_that_count_are_mmsegmentations(tmp_path):
    metric = pytest.importorskip("mmseg.evaluation.metrics.depth_metric").DepthMetric
    theirs = metric(crop_type="nyu_crop", min_depth_eval=1e-3, max_depth_eval=10.0)
    millimetres = np.random.default_rng(0).integers(0, 12_000, (480, 640))
    mask = theirs._get_eval_mask(torch.from_numpy(millimetres.astype(np.float32) * 1e-3))
    assert ((one(tmp_path, millimetres).labels(0) != UNLABELLED) == mask.numpy()).all()


def test_maps_that_are_no_millimetres_are_refused(tmp_path):
    images = one(tmp_path, np.ones((48, 64)))
    path = images.pairs[0].depth
    Image.new("L", (64, 48)).save(path)
    with pytest.raises(InputError, match="mode L, and depth maps have 16 bits"):
        images.labels(0)
    save_depth(path, np.ones((24, 32)))
    with pytest.raises(InputError, match="is 32x24, its image is 64x48"):
        images.labels(0)
    path.unlink()
    with pytest.raises(InputError, match="does not exist"):
        images.labels(0)


def test_other_folders_and_lists_are_refused(tmp_path):
    (tmp_path / "nyu_depth_v2_labeled.mat").touch()
    with pytest.raises(InputError, match=r"labelled \.mat file is not read"):
        nyu(tmp_path, "test")
    (tmp_path / "nyu_test.txt").write_text("a.jpg b.png 518.8579\nonly.jpg\n")
    with pytest.raises(InputError, match=r"line 2 of .*nyu_test\.txt is 'only\.jpg'"):
        nyu(tmp_path, "test")
    (tmp_path / "nyu_test.txt").write_text("\n")
    with pytest.raises(InputError, match="lists no image"):
        nyu(tmp_path, "test")
