"""Boxes of COCO, PASCAL VOC and masks, worked by hand."""

import json

import numpy as np
import pytest
from PIL import Image

from selfpatch.data.boxes import coco, mask_boxes, masked, voc
from selfpatch.errors import InputError


def coco_file(folder, instances, **changed):
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in (3, 5, 8)]
    content = {"images": images, "annotations": instances, "categories": []} | changed
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


def test_boxes_of_coco_are_rounded_and_crowds_are_none(tmp_path):
    path = coco_file(
        tmp_path,
        [
            {"image_id": 5, "bbox": [1.4, 2.6, 10.2, 20], "iscrowd": 0},
            {"image_id": 5, "bbox": [0, 0, 3, 3], "iscrowd": 0},
            {"image_id": 8, "bbox": [0, 0, 9, 9], "iscrowd": 1},
            {"image_id": 3, "bbox": [2, 2, 2, 2], "iscrowd": 0},
        ],
    )
    found = coco(path, tmp_path / "images")
    assert found.names() == ["3.jpg", "5.jpg"]  # the other has nothing but a crowd
    assert found.boxes == [[(2, 2, 4, 4)], [(1, 3, 12, 23), (0, 0, 3, 3)]]


@pytest.mark.parametrize(
    ("changed", "instances", "sentence"),
    [
        ({}, [], "no image with an object"),
        ({}, [{"image_id": 4, "bbox": [0, 0, 1, 1]}], "no COCO instances file .KeyError.4"),
        ({}, [{"image_id": 5, "bbox": [0, 0, 1]}], "no COCO instances file"),
        ({}, [{"image_id": 5, "bbox": [0, 0, 1, "a"]}], "no COCO instances file"),
        ({}, [{"image_id": 5, "bbox": [0, 0, 1, float("inf")]}], "no COCO instances file"),
        ({}, [7], "no COCO instances file"),
        ({"images": 7}, [], "no COCO instances file"),
    ],
)
def test_a_file_unlike_cocos_is_refused(tmp_path, changed, instances, sentence):
    with pytest.raises(InputError, match=sentence):
        coco(coco_file(tmp_path, instances, **changed), tmp_path)


def test_a_missing_or_broken_json_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read \(No such file"):
        coco(tmp_path / "none.json", tmp_path)
    (tmp_path / "half.json").write_text('{"images": [')
    with pytest.raises(InputError, match="no COCO instances file"):
        coco(tmp_path / "half.json", tmp_path)


OBJECT = (
    "<object><name>cat</name><truncated>1</truncated><difficult>1</difficult><bndbox>"
    "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def voc_folder(folder, **annotations):
    for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / name).mkdir(parents=True)
    for name, text in annotations.items():
        (folder / "Annotations" / f"{name}.xml").write_text(f"<annotation>{text}</annotation>")
    (folder / "ImageSets/Main/trainval.txt").write_text("\n".join(annotations) + "\n")
    return folder


def test_a_box_of_voc_counts_pixels_from_1_and_holds_its_last_one(tmp_path):
    root = voc_folder(
        tmp_path,
        b=OBJECT.format(1, 1, 500, 375) + OBJECT.format(45.7, 2, 50, 9),
        a=OBJECT.format(3, 4, 5, 6),
        empty="",
    )
    found = voc(root)
    assert found.names() == ["b.jpg", "a.jpg"]  # difficult and truncated ones count
    assert found.boxes == [[(0, 0, 500, 375), (44, 1, 50, 9)], [(2, 3, 5, 6)]]


def test_annotations_unlike_vocs_are_refused(tmp_path):
    with pytest.raises(InputError, match="give the folder of one year"):
        voc(tmp_path / "none")
    root = voc_folder(tmp_path, a="<object></object>")
    with pytest.raises(
        InputError, match=r"a\.xml is no annotation of VOC \(an object has no bndbox"
    ):
        voc(root)
    (root / "Annotations/a.xml").write_text(
        f"<annotation>{OBJECT.format('x', 1, 2, 'inf')}</annotation>"
    )
    with pytest.raises(InputError, match=r"a\.xml is no annotation of VOC"):
        voc(root)
    (root / "Annotations/a.xml").write_text("<annotation>")
    with pytest.raises(InputError, match=r"a\.xml is no annotation of VOC"):
        voc(root)
    (root / "Annotations/a.xml").unlink()
    with pytest.raises(InputError, match=r"a\.xml is no annotation of VOC"):
        voc(root)


def saved(path, values, mode="L"):
    image = Image.fromarray(np.array(values, dtype=np.uint8))
    if mode == "P":
        image.putpalette(list(range(256)) * 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


@pytest.mark.parametrize("mode", ["L", "P"])
def test_each_value_of_a_mask_has_a_box(tmp_path, mode):
    values = np.zeros((6, 8), dtype=int)
    values[1:3, 2:5] = 1
    values[5, 0] = values[4, 7] = 2
    assert mask_boxes(saved(tmp_path / "m.png", values, mode)) == [(2, 1, 5, 3), (0, 4, 8, 6)]
    values[0, 0] = 255  # what does not count in DAVIS 2017
    assert mask_boxes(saved(tmp_path / "m.png", values, mode)) == [(2, 1, 5, 3), (0, 4, 8, 6)]


def test_255_is_the_object_of_a_mask_that_has_no_other(tmp_path):
    values = np.zeros((6, 8), dtype=int)
    values[2:, 3] = 255
    assert mask_boxes(saved(tmp_path / "m.png", values)) == [(3, 2, 4, 6)]
    Image.fromarray(values.astype(bool)).save(tmp_path / "bits.png")
    assert mask_boxes(tmp_path / "bits.png") == [(3, 2, 4, 6)]
    assert mask_boxes(saved(tmp_path / "none.png", np.zeros((3, 3)))) == []


def test_masks_and_images_pair_by_name_in_subfolders(tmp_path):
    for name in ("dog/00000", "dog/00001", "car/00000"):
        saved(tmp_path / f"images/{name}.jpg", np.zeros((4, 4)))
        saved(tmp_path / f"masks/{name}.png", np.eye(4) * (name != "dog/00001"))
    found = masked(tmp_path / "masks", tmp_path / "images")
    assert found.names() == ["car/00000.jpg", "dog/00000.jpg"]
    assert found.boxes == [[(0, 0, 4, 4)], [(0, 0, 4, 4)]]
    (tmp_path / "masks/car/00000.png").unlink()
    with pytest.raises(InputError, match="has no file for car/00000"):
        masked(tmp_path / "masks", tmp_path / "images")


def test_a_mask_of_another_size_than_its_image_is_refused(tmp_path):
    saved(tmp_path / "images/a.png", np.zeros((4, 4)))
    path = saved(tmp_path / "masks/a.png", np.ones((4, 5)))
    with pytest.raises(InputError, match=f"{path} is 5x4, its image is 4x4"):
        masked(tmp_path / "masks", tmp_path / "images")


def test_a_mask_of_colours_is_refused(tmp_path):
    path = saved(tmp_path / "m.png", np.ones((4, 4, 3)))
    with pytest.raises(InputError, match="is RGB and no map of object numbers"):
        mask_boxes(path)


def test_boxes_of_real_images_lie_within_them(real_data):
    found = coco(real_data / "coco/annotations/instances_val2017.json", real_data / "coco/val2017")
    assert len(found) == 80
    for number in range(5):
        width, height = found.image(number).size
        for left, top, right, bottom in found.boxes[number]:
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height
