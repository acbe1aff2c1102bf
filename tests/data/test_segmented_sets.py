"""Published data sets in their own layouts: the labels that others read, and one sentence else."""

import runpy
import shutil
from pathlib import Path

import mmseg
import numpy as np
import pytest
from mmseg.datasets import CityscapesDataset, COCOStuffDataset, PascalVOCDataset
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image
from torchvision.datasets import Cityscapes, VOCSegmentation

from selfpatch.data.coco_classes import COARSE_STUFF, COARSE_THINGS
from selfpatch.data.segmented_sets import (
    CITYSCAPES_CLASSES,
    VOC_CLASSES,
    cityscapes,
    coco_stuff,
    davis,
    voc,
)
from selfpatch.errors import InputError
from tests.data.drawn_sets import draw_cityscapes, draw_coco_stuff, draw_davis, draw_voc, save


@pytest.fixture
def voc_folder(tmp_path):
    return draw_voc(tmp_path / "VOCdevkit/VOC2012")


def test_voc_is_what_torchvision_and_mmseg_read(voc_folder):
    for split, image_set in (("training", "train"), ("validation", "val")):
        own = voc(voc_folder, split)
        theirs = VOCSegmentation(str(voc_folder.parents[1]), image_set=image_set)
        assert [str(path) for path in own.files] == theirs.images
        for number in range(len(own)):
            values = np.array(theirs[number][1]).astype(int)
            assert np.array_equal(own.labels(number), np.where(values == 255, -1, values))
            loaded = LoadAnnotations().transform(
                {"seg_map_path": own.maps[number], "reduce_zero_label": False, "seg_fields": []}
            )
            assert np.array_equal(loaded["gt_seg_map"], values)
    assert PascalVOCDataset.METAINFO["classes"] == VOC_CLASSES


def test_the_further_images_of_voc_have_the_further_maps_and_the_first_ones_their_own(voc_folder):
    (voc_folder / "ImageSets/Segmentation/trainaug.txt").write_text("2008_1\n2007_2\n2007_1\n")
    images = voc(voc_folder, "training")
    assert images.names() == ["2007_1.jpg", "2007_2.jpg", "2008_1.jpg"]
    assert images.labels(0)[0].tolist() == [0, -1, 20, 1, 15, 7]
    assert images.labels(2)[0].tolist() == [0, 0, 20, 20, 15, 7]
    assert voc(voc_folder, "validation").names() == ["2007_9.jpg"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda root: (root / "ImageSets/Segmentation/train.txt").unlink(),
         "train.txt does not exist; give the folder"),
        (lambda root: (root / "ImageSets/Segmentation/train.txt").write_text("\n \n"),
         "train.txt lists nothing"),
        (lambda root: (root / "JPEGImages/2007_2.jpg").unlink(),
         r"2007_2.jpg does not exist, but ImageSets/Segmentation/train.txt lists it"),
        (lambda root: (root / "SegmentationClass/2007_1.png").unlink(),
         r"SegmentationClass/2007_1.png does not exist"),
    ],
)  # fmt: skip
def test_what_is_missing_of_voc_is_named(spoil, sentence, voc_folder):
    spoil(voc_folder)
    with pytest.raises(InputError, match=sentence):
        voc(voc_folder, "training")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.full((5, 6), 21), "2007_1.png holds the value 21, which is none of the 21 classes"),
        (np.zeros((5, 6, 3)), "2007_1.png is RGB and no map of class numbers"),
        (np.zeros((6, 5)), "2007_1.png is 5x6, its image is 6x5"),
    ],
)
def test_a_map_that_is_none_of_vocs_is_named(values, sentence, voc_folder):
    save(voc_folder / "SegmentationClass/2007_1.png", values)
    with pytest.raises(InputError, match=sentence):
        voc(voc_folder, "training").labels(0)


@pytest.fixture
def city_folder(tmp_path):
    return draw_cityscapes(tmp_path)


def test_cityscapes_ids_become_the_classes_that_torchvision_and_mmseg_name(city_folder):
    images = cityscapes(city_folder, "validation")
    train_ids = {kind.id: kind.train_id for kind in Cityscapes.classes if not kind.ignore_in_eval}
    expected = [train_ids.get(number, -1) for number in range(35)]
    assert images.labels(0).ravel().tolist() == expected
    assert tuple(CITYSCAPES_CLASSES) == CityscapesDataset.METAINFO["classes"] == images.class_names
    theirs = Cityscapes(str(city_folder), split="val", target_type="semantic")
    assert [str(path) for path in images.files] == theirs.images


def test_cityscapes_train_ids_are_the_same_labels(city_folder):
    by_id = cityscapes(city_folder, "training").labels(0)
    path = city_folder / "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png"
    made = path.with_name(path.name.replace("labelIds", "labelTrainIds"))
    save(made, np.where(by_id == -1, 255, by_id))
    path.unlink()
    assert cityscapes(city_folder, "training").labels(0).tolist() == by_id.tolist()
    made.unlink()
    with pytest.raises(InputError, match=r"aachen_000000_000019_gtFine_labelIds.png does not"):
        cityscapes(city_folder, "training")
    shutil.rmtree(city_folder / "leftImg8bit/train/aachen")
    with pytest.raises(InputError, match=r"leftImg8bit/train holds no CITY"):
        cityscapes(city_folder, "training")


@pytest.fixture
def stuff_folder(tmp_path):
    return draw_coco_stuff(tmp_path)


def test_coco_stuff_has_mmsegs_171_classes(stuff_folder):
    images = coco_stuff(stuff_folder, "training", 171)
    assert images.class_names == COCOStuffDataset.METAINFO["classes"]
    converter = Path(mmseg.__file__).parent / ".mim/tools/dataset_converters/coco_stuff164k.py"
    number_of = runpy.run_path(str(converter))["clsID_to_trID"]
    with Image.open(images.maps[0]) as stored:
        expected = [number_of[value] for value in np.array(stored).ravel().tolist()]
    found = images.labels(0).ravel()
    assert np.where(found == -1, 255, found).tolist() == expected


def test_coarse_stuff_is_stuff_alone_and_27_classes_are_things_as_well(stuff_folder):
    fine = coco_stuff(stuff_folder, "validation", 171).labels(0)
    coarse = coco_stuff(stuff_folder, "validation").labels(0)
    both = coco_stuff(stuff_folder, "validation", 27).labels(0)
    assert (coarse[fine < 80] == -1).all()
    assert set(coarse[fine >= 80].tolist()) == set(range(15))
    assert set(both[(fine >= 0) & (fine < 80)].tolist()) == set(range(12))
    assert (both[fine >= 80] == coarse[fine >= 80] + 12).all()
    # Those of four by hand: person, tv (things), fog and grass (stuff).
    names = COCOStuffDataset.METAINFO["classes"]
    found = {name: both.ravel()[names.index(name)] for name in ("person", "tv", "fog", "grass")}
    every = COARSE_THINGS + COARSE_STUFF
    assert [every[found[name]] for name in found] == ["person", "electronic", "water", "plant"]
    with pytest.raises(InputError, match="has 15, 27 or 171 classes, not 80"):
        coco_stuff(stuff_folder, "validation", 80)


def test_a_value_that_no_category_of_coco_has_is_named(stuff_folder):
    path = stuff_folder / "stuffthingmaps_trainval2017/val2017/000000000009.png"
    save(path, np.full((5, 35), 11))  # street sign, which has no annotation
    with pytest.raises(InputError, match="holds the value 11, which is none of the 15 classes"):
        coco_stuff(stuff_folder, "validation").labels(0)


@pytest.fixture
def davis_folder(tmp_path):
    return draw_davis(tmp_path)


def test_every_object_of_davis_is_the_foreground(davis_folder):
    images = davis(davis_folder, "training")
    assert images.names() == [
        "bear/00000.jpg",
        "bear/00001.jpg",
        "bike/00000.jpg",
        "bike/00001.jpg",
    ]
    assert images.labels(3)[0].tolist() == [0, 1, 1, -1, 1, 0]
    assert images.class_names == ("background", "object")


def test_davis_needs_a_list_of_sequences_to_learn_from(davis_folder):
    (davis_folder / "ImageSets/2017/train.txt").unlink()
    with pytest.raises(InputError, match=r"train.txt does not exist; .* write the sequences"):
        davis(davis_folder, "training")
    (davis_folder / "ImageSets/2017/train.txt").write_text("cat\n")
    with pytest.raises(InputError, match=r"train.txt lists cat, but .*cat holds no frame"):
        davis(davis_folder, "training")


def test_the_real_davis_has_one_object(real_data):
    images = davis(real_data / "davis", "validation")
    found = images.labels(0)
    with Image.open(images.maps[0]) as mask:
        assert np.array_equal(found, np.array(mask))
    assert set(np.unique(found).tolist()) == {0, 1}
