"""What the checks of the segmentation probes' data sets find: nothing in whole ones, and damage."""

import shutil

import numpy as np
import pytest
from PIL import Image

from selfpatch.check.segmented import check_cityscapes, check_coco_stuff, check_voc
from tests.data.drawn_sets import draw_cityscapes, draw_coco_stuff, draw_voc, save

SETS = {
    "voc": (draw_voc, check_voc),
    "cityscapes": (draw_cityscapes, check_cityscapes),
    "coco-stuff": (draw_coco_stuff, check_coco_stuff),
}


def errors(name, root) -> list[str]:
    return [finding.text for finding in SETS[name][1](root) if finding.level == "error"]


@pytest.mark.parametrize("name", SETS)
def test_whole_data_has_no_error(name, tmp_path):
    root = SETS[name][0](tmp_path)
    assert errors(name, root) == []
    notes = [finding.text for finding in SETS[name][1](root)]
    assert sum("the official data set has" in text for text in notes) == 2


def test_voc_says_which_images_it_learns_from(tmp_path):
    root = draw_voc(tmp_path)
    assert any("no trainaug.txt" in finding.text for finding in check_voc(root))
    (root / "ImageSets/Segmentation/trainaug.txt").write_text("2007_1\n2007_2\n2008_1\n")
    found = [finding.text for finding in check_voc(root)]
    assert not any("no trainaug.txt" in text for text in found)
    assert any(
        text.startswith("3 training pairs; the official data set has 10,582") for text in found
    )


def cut(path) -> None:
    path.write_bytes(path.read_bytes()[:40])


DAMAGES = [
    ("voc", lambda root: shutil.rmtree(root / "SegmentationClass"), "Class does not exist"),
    ("voc", lambda root: (root / "ImageSets/Segmentation/val.txt").unlink(), "val.txt does not"),
    ("voc", lambda root: (root / "JPEGImages/2007_9.jpg").unlink(), "2007_9.jpg does not exist"),
    ("voc", lambda root: Image.new("RGB", (6, 5)).save(root / "SegmentationClass/2007_9.png"),
     "2007_9.png is RGB"),
    ("voc", lambda root: save(root / "SegmentationClass/2007_9.png", np.full((5, 6), 255)),
     "the validation maps of"),
    ("cityscapes", lambda root: shutil.rmtree(root / "gtFine/val/lindau"), "labelIds.png does not"),
    ("cityscapes", lambda root: cut(next(root.glob("leftImg8bit/val/*/*.png"))), "cannot be read"),
    ("coco-stuff", lambda root: shutil.rmtree(root / "stuffthingmaps_trainval2017/val2017"),
     "val2017 does not exist"),
    ("coco-stuff", lambda root: cut(next(root.glob("stuffthingmaps_trainval2017/val2017/*"))),
     "cannot be read"),
    ("coco-stuff", lambda root: save(root / "val2017/000000000009.jpg", np.zeros((35, 5, 3))),
     "9.png is 35x5, its image is 5x35"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "sentence"), DAMAGES, ids=[d[2] for d in DAMAGES])
def test_each_damage_is_named(name, damage, sentence, tmp_path):
    root = SETS[name][0](tmp_path)
    damage(root)
    found = errors(name, root)
    assert any(sentence in text for text in found)
    assert len(found) <= 2  # an image that is cut short has no size either


def test_the_folder_above_is_recognised(tmp_path):
    draw_voc(tmp_path / "VOC2012")
    assert all("give that folder" in text for text in errors("voc", tmp_path))
