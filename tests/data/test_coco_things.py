"""COCO's instances as a map of coarse things: what pycocotools draws, smaller things on top."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as masks
from pycocotools.coco import COCO

from selfpatch.data.coco_things import coco_things
from selfpatch.errors import InputError

# pycocotools' decoded arrays predate NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SQUARE = [2.0, 2.0, 8.0, 2.0, 8.0, 8.0, 2.0, 8.0]
WHOLE = [0.0, 0.0, 20.0, 0.0, 20.0, 10.0, 0.0, 10.0]


def instance(category: int, shape, **more) -> dict:
    return {"category_id": category, "image_id": 7, "segmentation": shape, "iscrowd": 0, **more}


@pytest.fixture
def folder(tmp_path):
    """An image of 10 rows and 20 columns: a cup on a table that fills it, and a crowd of people."""
    crowd = {"size": [10, 20], "counts": [0, 100, 100]}
    content = {
        "images": [{"id": 7, "file_name": "7.jpg", "height": 10, "width": 20},
                   {"id": 3, "file_name": "3.jpg", "height": 10, "width": 20}],
        "annotations": [instance(47, [SQUARE]), instance(67, [WHOLE]),
                        instance(1, crowd, iscrowd=1)],
        "categories": [{"id": 1, "name": "person"}, {"id": 47, "name": "cup"},
                       {"id": 67, "name": "dining table"}],
    }  # fmt: skip
    (tmp_path / "annotations").mkdir()
    for part in ("train2017", "val2017"):
        (tmp_path / part).mkdir()
        for number in (3, 7):
            Image.new("RGB", (20, 10)).save(tmp_path / part / f"{number}.jpg")
        (tmp_path / f"annotations/instances_{part}.json").write_text(json.dumps(content))
    return tmp_path


def edit(folder, change) -> None:
    path = folder / "annotations/instances_val2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_cup_lies_on_the_table_and_a_crowd_does_not_count(folder):
    images = coco_things(folder, "validation")
    assert images.names() == ["7.jpg", "3.jpg"]
    kitchen, furniture = (images.class_names.index(name) for name in ("kitchen", "furniture"))
    expected = np.full((10, 20), furniture)
    expected[2:8, 2:8] = kitchen
    assert images.labels(0).tolist() == expected.tolist()
    assert (images.labels(1) == -1).all()
    edit(folder, lambda content: content["annotations"].pop(1))  # the table
    alone = coco_things(folder, "validation").labels(0)
    assert (alone[expected == kitchen] == kitchen).all()
    assert (alone[expected != kitchen] == -1).all()


def test_run_lengths_are_drawn_packed_or_not(folder):
    counts = [20, 30, 150]  # down the columns: the last two of the first five columns are drawn
    shape = {"size": [10, 20], "counts": counts}
    edit(folder, lambda content: content.update(annotations=[instance(1, shape)]))
    found = coco_things(folder, "validation").labels(0)
    expected = np.full(200, -1)
    expected[20:50] = coco_things(folder, "validation").class_names.index("person")
    assert found.tolist() == expected.reshape(20, 10).T.tolist()
    packed = masks.frPyObjects(shape, 10, 20)
    packed["counts"] = packed["counts"].decode()
    edit(folder, lambda content: content.update(annotations=[instance(1, packed)]))
    assert coco_things(folder, "validation").labels(0).tolist() == found.tolist()


@pytest.mark.parametrize("part", ["train2017", "val2017"])
def test_real_instances_are_those_that_pycocotools_draws(part, real_data, capsys):
    split = "training" if part == "train2017" else "validation"
    images = coco_things(real_data / "coco", split)
    coco = COCO(str(real_data / f"coco/annotations/instances_{part}.json"))
    above = {number: kind["supercategory"] for number, kind in coco.cats.items()}
    assert images.class_names == tuple(sorted(set(above.values())))
    assert len(images) == len(coco.imgs)
    for number, (key, image) in list(enumerate(coco.imgs.items()))[:40]:
        expected = np.full((image["height"], image["width"]), -1)
        covered = np.full(expected.shape, np.inf)  # pixels of the instance that is on top
        for one in coco.imgToAnns[key]:
            mask = coco.annToMask(one).astype(bool)
            if not one["iscrowd"]:
                on_top = mask & (mask.sum() <= covered)
                expected[on_top] = images.class_names.index(above[one["category_id"]])
                covered[on_top] = mask.sum()
        assert np.array_equal(images.labels(number), expected)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda content: content.pop("annotations"), "is no instances file"),
        (lambda content: content.update(images=[], annotations=[]), "lists no image"),
        (lambda content: content["images"][0].pop("height"), "entries unlike COCO's"),
        (lambda content: content["annotations"][0].update(image_id=99), "entries unlike COCO's"),
        (lambda content: content["annotations"][0].update(category_id=12), "entries unlike COCO's"),
        (lambda content: content["categories"][0].update(name="tree"), "category 1, tree, which"),
        (lambda content: content["images"][1].update(file_name="4.jpg"), "lists .*4.jpg, which"),
        (lambda content: content["images"][0].update(height=11), "7.jpg is 20x10, .* says 20x11"),
        (lambda content: content["annotations"][0].update(segmentation=[]), "without a whole mask"),
        (lambda content: content["annotations"][0].update(segmentation=[[1, 1, 2, 2]]),
         "without a whole mask"),
        (lambda content: content["annotations"][0].update(
            segmentation={"size": [1, 1], "counts": [1]}), "without a whole mask"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_one_sentence(change, sentence, folder):
    edit(folder, change)
    with pytest.raises(InputError, match=sentence):
        coco_things(folder, "validation").labels(0)


def test_a_file_that_is_missing_or_cut_is_named(folder):
    path = folder / "annotations/instances_val2017.json"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match=r"instances_val2017.json is no whole JSON"):
        coco_things(folder, "validation")
    shutil.rmtree(folder / "annotations")
    with pytest.raises(InputError, match=r"instances_val2017.json does not exist; unpack"):
        coco_things(folder, "validation")
