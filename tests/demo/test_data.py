"""The generated data: in the official layouts, deterministic, complete or not there."""

import contextlib
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from selfpatch.demo.data import STAMP, Sizes, generate
from selfpatch.demo.objects import KINDS
from selfpatch.demo.scenes import Scene, Thing, render
from selfpatch.errors import InputError

# pycocotools' decoded arrays predate NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SMALL = Sizes(pretraining=3, coco_train=5, coco_val=2, ade_train=3, ade_val=2, frames=3, height=96)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return generate(tmp_path_factory.mktemp("generated") / "data", SMALL)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def load(data: Path, split: str) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(data / "coco" / "annotations" / f"instances_{split}.json"))


def test_the_same_sizes_give_the_same_bytes(data, tmp_path):
    assert digests(generate(tmp_path / "again", SMALL)) == digests(data)


def test_a_second_call_writes_nothing(data):
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    generate(data, SMALL)
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


def test_other_sizes_replace_the_data(tmp_path):
    tiny = Sizes(1, 2, 2, 1, 1, 2, 64)
    generate(tmp_path / "data", tiny)
    generate(tmp_path / "data", Sizes(2, 2, 2, 1, 1, 2, 64))
    assert len(list((tmp_path / "data" / "images").iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_of_someone_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not generated data"):
        generate(tmp_path, SMALL)
    assert (tmp_path / "thesis.txt").exists()


def test_an_interrupted_generation_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("selfpatch.demo.data.write_ade20k", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "data", SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_instance_masks_areas_and_boxes_agree(data, split):
    coco = load(data, split)
    assert len(coco.anns) > 0
    for annotation in coco.anns.values():
        image = coco.imgs[annotation["image_id"]]
        with Image.open(data / "coco" / split / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
        mask = coco.annToMask(annotation)
        assert mask.sum() == pytest.approx(annotation["area"], rel=0.05)
        rows, columns = np.nonzero(mask)
        x, y, width, height = annotation["bbox"]
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(np.array(box) - [x, y, x + width, y + height]).max() <= 1


@pytest.mark.parametrize("split", ["train2017", "val2017"])
def test_a_split_has_one_crowd_and_one_image_without_instances(data, split):
    coco = load(data, split)
    crowds = [annotation for annotation in coco.anns.values() if annotation["iscrowd"]]
    assert len(crowds) == 1
    assert set(crowds[0]["segmentation"]) == {"counts", "size"}
    empty = [image for image in coco.imgs if not coco.getAnnIds(image)]
    assert len(empty) == 1


def test_instances_of_one_image_do_not_overlap(data):
    coco = load(data, "train2017")
    for image in coco.imgs:
        masks = [coco.annToMask(a) for a in coco.loadAnns(coco.getAnnIds(image))]
        if masks:
            shared = np.stack(masks).sum(axis=0) > 1
            assert shared.mean() < 0.005  # polygons share border pixels


def test_categories_are_cocos_eighty(data):
    categories = load(data, "train2017").dataset["categories"]
    numbered = {category["id"]: category["name"] for category in categories}
    assert len(categories) == 80
    assert (numbered[1], numbered[13], numbered[90]) == ("person", "stop sign", "toothbrush")
    assert {kind.coco_name for kind in KINDS.values()} <= set(numbered.values())


@pytest.mark.parametrize(("split", "count"), [("training", 3), ("validation", 2)])
def test_semantic_maps_are_ade20ks(data, split, count):
    images = sorted((data / "ade20k" / "images" / split).iterdir())
    maps = sorted((data / "ade20k" / "annotations" / split).iterdir())
    assert [path.stem for path in images] == [path.stem for path in maps]
    assert len(images) == count
    for image_path, map_path in zip(images, maps, strict=True):
        with Image.open(image_path) as image, Image.open(map_path) as classes:
            assert image.size == classes.size
            assert classes.mode == "L"
            assert np.asarray(classes).max() <= 150


def test_videos_are_daviss(data):
    davis = data / "davis"
    names = (davis / "ImageSets" / "2017" / "val.txt").read_text().split()
    assert len(names) == 2
    objects = {}
    for name in names:
        frames = sorted((davis / "JPEGImages" / "480p" / name).iterdir())
        masks = sorted((davis / "Annotations" / "480p" / name).iterdir())
        assert [path.stem for path in frames] == [path.stem for path in masks]
        assert frames[0].name == "00000.jpg"
        assert len(frames) == 3
        for path in masks:
            with Image.open(path) as mask:
                assert mask.mode == "P"
                assert mask.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
        with Image.open(masks[0]) as first:
            objects[name] = np.unique(np.asarray(first)).tolist()
    assert sorted(objects.values()) == [[0, 1], [0, 1, 2]]


def test_a_nearer_thing_hides_a_farther_one():
    far, near = Thing("sign", 0.5, 0.5, 0.3), Thing("ball", 0.5, 0.5, 0.1)
    instances = render(Scene(0, (far, near)), 100, 100).instances
    assert instances[50, 50] == 2
    assert instances[50, 72] == 1
    assert instances[5, 5] == 0


def test_a_ball_covers_the_area_of_its_circle():
    rendering = render(Scene(0, (Thing("ball", 0.5, 0.5, 0.25),)), 200, 200)
    assert (rendering.instances == 1).sum() == pytest.approx(np.pi * 50**2, rel=0.01)
    assert (rendering.classes[rendering.instances == 1] == KINDS["ball"].ade_class).all()


def test_the_stamp_says_how_the_data_was_made(data):
    assert json.loads((data / STAMP).read_text())["pretraining"] == 3
