"""The report from hand-made results: complete, self-contained, honest about what is missing."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.commands import report
from selfpatch.demo.data import Sizes, generate
from selfpatch.errors import InputError
from selfpatch.models.vit import VisionTransformer
from selfpatch.report.detection import decode
from selfpatch.results.file import TASKS, described_data, write_result
from tests.report.pages import captions, check_self_contained

# pycocotools' decoded arrays predate NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZES = Sizes(pretraining=2, coco_train=2, coco_val=5, ade_train=1, ade_val=2, frames=3, height=96)
METHODS = ("dino", "dino+selfpatch")
ODD = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return generate(tmp_path_factory.mktemp("report") / "data", SIZES)


@pytest.fixture
def runs(data, tmp_path) -> Path:
    """What two methods leave with two seeds, the truth as their answer; folders have any name."""
    torch.manual_seed(0)
    for method in METHODS:
        for seed in (0, 1):
            fill(tmp_path / "runs" / f"{method} number {seed}", method, seed, data)
    return tmp_path / "runs"


def fill(folder: Path, method: str, seed: int, data: Path) -> None:
    vit = VisionTransformer(embed_dim=16, depth=1, num_heads=2, patch_size=16, image_size=32)
    settings = {"model.objective": method}
    info = BackboneInfo(vit.architecture, method, "by hand", seed=seed, settings=settings)
    info = save_backbone(folder / "first" / "b.safetensors", vit.state_dict(), info)
    log = folder / "first" / "20260101_000000" / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    steps = [{"step": s, "loss": 7.0 - s, "cls_loss": 6.0 - s} for s in (1, 2, 3)]
    log.write_text("".join(json.dumps(step) + "\n" for step in steps))
    for task, root, unit in (
        ("coco-mask-rcnn", data / "coco", "images"),
        ("ade20k-upernet", data / "ade20k", "images"),
        ("davis2017", data / "davis", "sequences"),
    ):
        write_result(
            folder / f"a {task}" / "results.json",
            task=task,
            metrics=dict.fromkeys(TASKS[task], 40.0 + seed),
            config="config.py",
            dataset=described_data(str(root), ["a", "b"], unit),
            backbone=info,
            hours=0.1,
            settings={"training": "as always"},
        )
    copy_boxes(data / "coco", folder / "a coco-mask-rcnn")
    copy_masks(data / "ade20k" / "annotations" / "validation", folder / "a ade20k-upernet" / "any")
    for video in (data / "davis" / "Annotations" / "480p").iterdir():
        copy_masks(video, folder / "a davis2017" / video.name)


def copy_masks(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())


def copy_boxes(coco: Path, folder: Path) -> None:
    truth = json.loads((coco / "annotations" / "instances_val2017.json").read_text())
    sizes = {image["id"]: image for image in truth["images"]}
    found = []
    for entry in truth["annotations"]:
        mask = decode(entry["segmentation"], sizes[entry["image_id"]])
        shape = coco_mask.encode(np.asfortranarray(mask))
        shape["counts"] = shape["counts"].decode()
        found.append({**entry, "segmentation": shape, "score": 0.9})
    (folder / "predictions.segm.json").write_text(json.dumps(found))


def written(out: Path, *line: object) -> str:
    """The page that the command writes."""
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    report.run(parser.parse_args([*map(str, line), "--out", str(out)]))
    page = out.read_text()
    check_self_contained(page)
    return page


def test_the_report_holds_every_part_and_nothing_from_elsewhere(data, runs, tmp_path):
    page = written(tmp_path / "r.html", runs, "--images", data / "coco" / "val2017", "--most", 2)
    for title in (
        "Results", "Pretraining", "What the backbones see", "Detection", "Segmentation", "Tracking",
        "How each number was made",
    ):  # fmt: skip
        assert f"<h2>{title}</h2>" in page
    for title in ("COCO, Mask R-CNN", "ADE20K, UperNet", "DAVIS 2017"):
        assert page.count(f"<h3>{title}</h3>") == 2  # a table and a gallery
    assert "Not drawn" not in page
    assert "Nothing was found" not in page
    shown = captions(page)
    assert shown.count("DINO") == shown.count("DINO + SelfPatch") == 3 + 2  # boxes and maps
    assert "<h4>kite-and-sign, DINO + SelfPatch</h4>" in page
    assert "40.50 ± 0.71" in page
    assert "12 results of 2 models" in page


def test_one_result_in_a_folder_of_its_own_is_enough(runs, tmp_path):
    page = written(tmp_path / "r.html", runs / "dino number 0" / "a davis2017" / "results.json")
    assert "40.00" in page
    assert "<summary>What would fill the dashes</summary>" in page
    assert "selfpatch davis run" in page
    assert "<h2>Pretraining</h2>" not in page


def test_names_that_come_from_data_are_escaped(data, runs, tmp_path):
    for folder in runs.glob("*/a davis2017"):
        (folder / "kite-and-sign").rename(folder / ODD.replace("/", ""))
    for file in runs.rglob("results.json"):
        file.write_text(file.read_text().replace('"config.py"', json.dumps(ODD)))
    page = written(tmp_path / "r.html", runs)
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 3


def test_what_is_missing_or_broken_costs_its_picture_alone(data, runs, tmp_path):
    (runs / "dino number 0" / "a coco-mask-rcnn" / "predictions.segm.json").write_text("[{}]")
    one = next((runs / "dino number 0" / "a ade20k-upernet" / "any").iterdir())
    one.write_bytes(b"no image")
    next((runs / "dino number 0" / "a davis2017" / "kite-and-sign").iterdir()).unlink()
    log = next((runs / "dino number 1").rglob("scalars.json"))
    log.write_text("no JSON\n")
    page = written(tmp_path / "r.html", runs)
    notes = page.count('<p class="note">Not drawn: ')
    assert notes == 3 + 1 + 1 + 1  # one model's boxes in three images, a map, a frame, a log
    assert captions(page).count("DINO + SelfPatch") == 3 + 2
    assert "predictions.segm.json holds no predictions (KeyError: &#39;image_id&#39;)" in page


def test_results_whose_data_are_elsewhere_have_their_tables(runs, tmp_path):
    for file in runs.rglob("results.json"):
        content = json.loads(file.read_text())
        content["dataset"]["path"] = "not/here"
        file.write_text(json.dumps(content))
    page = written(tmp_path / "r.html", runs)
    assert "not/here/annotations/instances_val2017.json cannot be used" in page
    assert "not/here/images/validation holds no images" in page
    assert "not/here/JPEGImages/480p/kite-and-sign holds no frames" in page
    assert "40.50 ± 0.71" in page


def test_results_without_anything_beside_them_say_how_pictures_come_there(runs, tmp_path):
    for path in [*runs.rglob("*.png"), *runs.rglob("*.segm.json"), *runs.rglob("*.safetensors")]:
        path.unlink()
    page = written(tmp_path / "r.html", runs, "--images", runs.parent / "one.png")
    assert "test_evaluator.outfile_prefix=WORK_DIR/predictions" in page
    assert "test_evaluator.output_dir=WORK_DIR/maps" in page
    assert "No backbone file was found to look with." in page


@pytest.fixture(autouse=True)
def one_image(tmp_path) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "one.png")


def test_bad_input_is_one_sentence(runs, tmp_path):
    with pytest.raises(InputError, match=r"no results.json below .*first"):
        written(tmp_path / "r.html", runs / "dino number 0" / "first")
    with pytest.raises(InputError, match="nowhere is no folder"):
        written(tmp_path / "r.html", runs, "--runs", tmp_path / "nowhere")
    copied = tmp_path / "again" / "results.json"
    copied.parent.mkdir()
    copied.write_text((runs / "dino number 0" / "a davis2017" / "results.json").read_text())
    with pytest.raises(InputError, match="two results of one seed"):
        written(tmp_path / "r.html", runs, copied)
