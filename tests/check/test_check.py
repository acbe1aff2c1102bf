"""What the check of a data set finds: nothing in whole data, each kind of damage by its name."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from davis_eval.check import check_davis
from selfpatch.check.ade20k import check_ade20k
from selfpatch.check.coco import check_coco
from selfpatch.check.findings import sample
from selfpatch.check.imagenet import check_imagenet
from selfpatch.demo.data import Sizes, generate
from tests import ROOT

CHECKS = {"images": check_imagenet, "coco": check_coco, "ade20k": check_ade20k,
          "davis": check_davis}  # fmt: skip
TRAIN = "coco/annotations/instances_train2017.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    sizes = Sizes(pretraining=2, coco_train=3, coco_val=2, ade_train=2, ade_val=2, frames=3)
    return generate(tmp_path_factory.mktemp("data") / "tiny", sizes)


@pytest.fixture
def data(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "data"))


def errors(name: str, folder: Path) -> list[str]:
    return [finding.text for finding in CHECKS[name](folder) if finding.level == "error"]


@pytest.mark.parametrize("name", CHECKS)
def test_whole_data_has_no_error(name, whole):
    assert errors(name, whole / name) == []


@pytest.mark.parametrize("name", ["imagenette224", "coco", "ade20k", "davis"])
def test_the_real_data_has_no_error(name, real_data):
    check = CHECKS.get(name, check_imagenet)
    assert [f.text for f in check(real_data / name) if f.level == "error"] == []


def first(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


def cut(pattern: str):
    """Leave a file's first half only."""

    def damage(data: Path) -> None:
        path = first(data, pattern)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return damage


def remove(pattern: str):
    def damage(data: Path) -> None:
        path = first(data, pattern)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


def edit(change):
    """Change the content of the training instances."""

    def damage(data: Path) -> None:
        content = json.loads((data / TRAIN).read_text())
        change(content)
        (data / TRAIN).write_text(json.dumps(content))

    return damage


def repaint(pattern: str, mode: str, label: int, size: tuple[int, int] | None = None):
    """Replace a label map by one of a single label."""

    def damage(data: Path) -> None:
        path = first(data, pattern)
        with Image.open(path) as image:
            width, height = size or image.size
        labels = np.full((height, width), label, dtype=np.uint8)
        Image.fromarray(labels).convert(mode).save(path)

    return damage


DAMAGES = [
    ("coco", remove("coco/train2017"), "train2017 does not exist"),
    ("coco", remove(TRAIN), "instances_train2017.json does not exist"),
    ("coco", cut(TRAIN), "is no whole JSON"),
    ("coco", lambda data: (data / TRAIN).write_text("[" * 100_000), "is no whole JSON"),
    ("coco", edit(lambda c: c.pop("annotations")), "has no annotations"),
    ("coco", edit(lambda c: c["categories"].pop()), "80 in the other"),
    ("coco", edit(lambda c: c["categories"].reverse()), "number 1 is"),
    ("coco", edit(lambda c: c["images"].append(c["images"][0])), "have the same id"),
    ("coco", edit(lambda c: c["annotations"][0].update(id=0)), "have the id 0"),
    ("coco", edit(lambda c: c["annotations"][0].pop("iscrowd")), "have no iscrowd"),
    ("coco", edit(lambda c: c["annotations"][0].pop("area")), "have no area"),
    ("coco", edit(lambda c: c["annotations"][0].pop("bbox")), "entries unlike COCO's"),
    ("coco", edit(lambda c: c["annotations"][0].update(image_id=99)), "image that is not listed"),
    ("coco", edit(lambda c: c["annotations"][0].update(category_id=99)), "category that is not"),
    ("coco", edit(lambda c: c["annotations"][0].update(bbox=[0, 0, 9e9, 9])), "beyond their image"),
    ("coco", edit(lambda c: c["annotations"][0].update(segmentation=[])), "have no mask"),
    ("coco", edit(lambda c: c["annotations"][0].update(
        segmentation={"size": [1, 1], "counts": "0"})), "mask of another size"),
    ("coco", edit(lambda c: c["annotations"][0].update(
        segmentation={"size": [1, 1], "counts": []})), "have an empty mask"),
    ("coco", edit(lambda c: c["annotations"][1].update(id=c["annotations"][0]["id"])),
     "occur twice"),
    ("coco", edit(lambda c: c["images"][1].update(height=999)), "says 999x"),
    ("coco", remove("coco/train2017/*.jpg"), "lists images that"),
    ("coco", cut("coco/val2017/*.jpg"), "cannot be read as an image"),
    ("ade20k", remove("ade20k/annotations/training"), "annotations/training does not exist"),
    ("ade20k", remove("ade20k/annotations/training/*.png"), "images without a map"),
    ("ade20k", remove("ade20k/images/validation/*.jpg"), "maps without an image"),
    ("ade20k", cut("ade20k/annotations/training/*.png"), "cannot be read as an image"),
    ("ade20k", repaint("ade20k/annotations/training/*.png", "RGB", 9), "the full ADE20K"),
    ("ade20k", repaint("ade20k/annotations/training/*.png", "L", 151), "labels over 150 (151)"),
    ("ade20k", repaint("ade20k/annotations/training/*.png", "L", 1, (8, 8)), "is 8x8, its image"),
    ("davis", remove("davis/ImageSets/2017"), "ImageSets/2017 does not exist"),
    ("davis", remove("davis/Annotations/480p/*"), "Annotations/480p/beach-ball does not exist"),
    ("davis", remove("davis/JPEGImages/480p/*/00001.jpg"), "00001.jpg does not exist"),
    ("davis", remove("davis/Annotations/480p/*/00002.png"), "3 frames and 2 masks"),
    ("davis", repaint("davis/Annotations/480p/*/00000.png", "L", 0), "shows no object"),
    ("davis", repaint("davis/Annotations/480p/*/00000.png", "L", 1, (8, 8)), "not its frame's"),
    ("images", cut("images/*"), "cannot be read as an image"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "sentence"), DAMAGES, ids=[d[2] for d in DAMAGES])
def test_each_damage_is_found_once_and_named(name, damage, sentence, data):
    damage(data)
    (found,) = errors(name, data / name)
    assert sentence in found


def test_categories_have_names_of_their_own(data):
    edit(lambda c: c["categories"][1].update(name=c["categories"][0]["name"]))(data)
    found = errors("coco", data / "coco")
    assert any("two categories have the same name" in text for text in found)


def test_a_sound_data_set_of_few_classes_in_subfolders_can_be_used(data):
    for split in ("train2017", "val2017"):
        path = data / f"coco/annotations/instances_{split}.json"
        content = json.loads(path.read_text())
        (data / "coco" / split / "inner").mkdir()
        for image in content["images"]:
            source = data / "coco" / split / image["file_name"]
            image["file_name"] = f"inner/{image['file_name']}"
            source.rename(data / "coco" / split / image["file_name"])
        content["categories"].append({"id": 100, "name": "one more"})
        path.write_text(json.dumps(content))
    assert errors("coco", data / "coco") == []


def test_the_folder_above_is_recognised(data):
    for name, inner in {"coco": "train2017", "ade20k": "images/training"}.items():
        wrong = [text for text in errors(name, data) if "give that folder" in text]
        assert any(f"{data} has no {inner}, but {data / name} has" in text for text in wrong)


def test_imagenets_usual_mistakes_are_found(data, tmp_path):
    images = sorted((data / "images").rglob("*.*"))
    image = next(path for path in images if path.suffix in (".jpg", ".png"))
    root = tmp_path / "imagenet"
    for folder in ("train/n1", "train/n2", "val"):
        (root / folder).mkdir(parents=True)
        shutil.copy(image, root / folder)
    (root / "train/n3").mkdir()
    (root / "train/n3.tar").touch()
    archives, empty, flat = errors("images", root)
    assert "holds archives (n3.tar)" in archives
    assert "without images: n3" in empty
    assert "in no class folders" in flat


def test_a_sample_has_the_first_and_the_last():
    assert sample(range(100), 4) == [0, 33, 66, 99]
    assert sample([1, 2], 4) == [1, 2]
    assert sample([1, 2, 3], 1) == [1]


@pytest.mark.slow
def test_the_command_lists_and_exits_with_2(data, programs):
    command = ["-m", "selfpatch", "check-data", "coco", str(data / "coco")]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("can be used\n")
    (data / TRAIN).unlink()
    done = programs.run(*command)
    assert done.returncode == 2
    assert "error: " in done.stdout
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("mode", "finding"),
    [("I;16", None), ("1", None), ("LA", "transparency"), ("RGB", "colours and no class numbers")],
)
def test_label_maps_of_other_modes_are_read_as_mmseg_reads_them_or_named(mode, finding, data):
    for path in (data / "ade20k").rglob("annotations/*/*.png"):
        labels = np.asarray(Image.open(path))
        image = Image.fromarray(labels > 0) if mode == "1" else Image.fromarray(labels)
        image = Image.fromarray(labels.astype(np.uint16)) if mode == "I;16" else image
        (image if mode in ("1", "I;16") else image.convert(mode)).save(path)
    found = errors("ade20k", data / "ade20k")
    assert (found == []) if finding is None else all(finding in text for text in found)
    if finding is None:
        path = next((data / "ade20k").rglob("annotations/*/*.png"))
        loaded = LoadAnnotations().transform(
            {"seg_map_path": str(path), "reduce_zero_label": False, "seg_fields": []}
        )
        assert np.array_equal(loaded["gt_seg_map"], np.asarray(Image.open(path)).astype(np.uint8))


def test_a_label_of_16_bits_is_too_great_before_the_host_cuts_it_off(data):
    path = first(data, "ade20k/annotations/training/*.png")
    labels = np.asarray(Image.open(path)).astype(np.uint16) + 256
    Image.fromarray(labels).save(path)
    assert any("labels over 150" in text for text in errors("ade20k", data / "ade20k"))
