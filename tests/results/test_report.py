"""The report from hand-made results: complete, self-contained, honest about what is missing."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from selfpatch.backbones.file import BackboneInfo, save_backbone
from selfpatch.demo.data import Sizes, generate
from selfpatch.demo.plan import Budget, find_data, plan
from selfpatch.demo.run import demo
from selfpatch.errors import InputError
from selfpatch.models.vit import VisionTransformer
from selfpatch.results.figures import DataSets, Run, central_patch, decode, loss_curves
from selfpatch.results.file import TASKS, described_data, read_results, write_result
from selfpatch.results.layouts import build_tables
from selfpatch.results.report import Made, embedded, write_report

# pycocotools' decoded arrays predate NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BUDGET = Budget(images=6, detection=4, segmentation=2)
SIZES = Sizes(pretraining=2, coco_train=2, coco_val=5, ade_train=1, ade_val=2, frames=3, height=96)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> DataSets:
    made = generate(tmp_path_factory.mktemp("report") / "data", SIZES)
    return DataSets("hand-made", made / "images", made / "coco", made / "ade20k", made / "davis")


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory) -> list[Run]:
    folder = tmp_path_factory.mktemp("runs")
    for method in ("dino", "dino+selfpatch"):
        fill(folder / method, method, data)
    return [Run("DINO", folder / "dino"), Run("SelfPatch", folder / "dino+selfpatch")]


def fill(folder: Path, method: str, data: DataSets) -> None:
    """What a run leaves, with the truth as its answer."""
    vit = VisionTransformer(embed_dim=16, depth=1, num_heads=2, patch_size=16, image_size=32)
    info = BackboneInfo(vit.architecture, method, "by hand")
    info = save_backbone(folder / "backbone.safetensors", vit.state_dict(), info)
    log = folder / "pretrain" / "20260101_000000" / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    steps = [{"step": s, "loss": 7.0 - s, "cls_loss": 6.0 - s} for s in (1, 2, 3)]
    log.write_text("\n".join(json.dumps(step) for step in steps))
    write_result(
        folder / "davis2017" / "results.json",
        task="davis2017",
        metrics=dict.fromkeys(TASKS["davis2017"], 50.0),
        config="davis",
        dataset=described_data("hand-made", ["a", "b"], "sequences"),
        backbone=info,
        hours=0.1,
    )
    copy_davis(data, folder)
    copy_coco(data, folder)
    for task in ("ade20k-upernet", "ade20k-semantic-fpn"):
        maps = folder / task / "maps"
        maps.mkdir(parents=True)
        for path in (data.ade20k / "annotations" / "validation").iterdir():
            (maps / path.name).write_bytes(path.read_bytes())


def copy_davis(data: DataSets, folder: Path) -> None:
    for path in (data.davis / "Annotations" / "480p").rglob("*.png"):
        target = folder / "davis2017" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())


def copy_coco(data: DataSets, folder: Path) -> None:
    truth = json.loads((data.coco / "annotations" / "instances_val2017.json").read_text())
    sizes = {image["id"]: image for image in truth["images"]}
    found = []
    for entry in truth["annotations"]:
        mask = decode(entry["segmentation"], sizes[entry["image_id"]])
        shape = coco_mask.encode(np.asfortranarray(mask))
        shape["counts"] = shape["counts"].decode()
        found.append({**entry, "segmentation": shape, "score": 0.9})
    path = folder / "coco-mask-rcnn" / "predictions.segm.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(found))


MADE = Made([("pretrain DINO", "python tools/pretrain.py <config>", 61.0)], 2, "1 January 2026")


def test_the_report_holds_every_part_and_nothing_from_elsewhere(data, runs, tmp_path):
    tables = build_tables(read_results([run.folder for run in runs]))
    write_report(tmp_path / "report.html", data, runs, tables, MADE)
    page = (tmp_path / "report.html").read_text()
    for title in ("Results", "Pretraining", "Attention", "Detection", "Segmentation", "Tracking"):
        assert f"<h2>{title}</h2>" in page
    assert "Not drawn" not in page
    assert "Nothing was found" not in page
    assert re.findall(r"(?:src|href)='(?!data:)", page) == []
    assert "url(" not in page
    assert "python tools/pretrain.py &lt;config&gt;" in page
    assert "1:01" in page
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert captions.count("DINO") == captions.count("SelfPatch") >= 2  # detections
    assert "UperNet, SelfPatch" in captions
    assert "kite-and-sign, DINO" in captions


def test_the_report_says_what_is_missing(data, tmp_path):
    runs = [Run("DINO", tmp_path / "no"), Run("SelfPatch", tmp_path / "neither")]
    nowhere = DataSets("nothing", *[tmp_path / "nowhere"] * 4)
    write_report(tmp_path / "report.html", nowhere, runs, build_tables({}), MADE)
    page = (tmp_path / "report.html").read_text()
    assert page.count("Not drawn") >= 3
    assert page.rstrip().endswith("</html>")


def test_loss_curves_are_drawn_for_every_run(runs):
    drawing = loss_curves(runs)
    assert drawing.count("<svg") == 1
    assert "DINO" in drawing or "glyph" in drawing


def test_an_embedded_image_is_a_jpeg_of_bounded_size():
    text = embedded(Image.new("RGB", (3000, 100)), longest=300)
    assert text.startswith("data:image/jpeg;base64,")
    assert len(text) < 4000


def test_the_asking_patch_is_the_middle_of_a_square():
    mask = np.zeros((160, 160), np.uint8)
    mask[32:112, 48:128] = 1  # rows 2-6 and columns 3-7 of the grid
    assert central_patch(mask, (10, 10)) == (4, 5)


def test_the_asking_patch_of_a_thin_mask_lies_on_it():
    mask = np.zeros((160, 160), np.uint8)
    mask[20, 100:110] = 1
    assert central_patch(mask, (10, 10)) == (1, 6)


def test_missing_data_sets_are_listed_in_one_sentence(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError) as caught:
        find_data(tmp_path, tmp_path / "work", SIZES)
    message = str(caught.value)
    assert "COCO" in message
    assert "ADE20K" in message
    assert "DAVIS" in message
    assert "a folder of images" not in message


def test_a_missing_data_folder_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        find_data(tmp_path / "nowhere", tmp_path, SIZES)


def test_a_broken_coco_file_is_one_sentence(data, tmp_path):
    shutil.copytree(data.images.parent, tmp_path / "data")
    broken = tmp_path / "data" / "coco" / "annotations" / "instances_train2017.json"
    broken.write_text("{")
    found = find_data(tmp_path / "data", tmp_path, SIZES)
    with pytest.raises(InputError, match="is no COCO instances file"):
        plan(found, tmp_path / "work", BUDGET)


def test_a_file_as_work_dir_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write to"):
        demo(None, tmp_path / "file", BUDGET)


def test_both_methods_get_the_same_budget_and_the_same_options(data, tmp_path):
    steps = {step.name: step for step in plan(data, tmp_path, BUDGET)}
    assert len(steps) == 12
    for name in ("pretrain DINO", "pretrain SelfPatch"):
        assert "train_cfg.max_epochs=3" in steps[name].command
        assert "train_cfg.schedule.warmup_epochs=0.6" in steps[name].command
    for name in ("Mask R-CNN on DINO", "Mask R-CNN on SelfPatch"):
        assert "train_cfg.max_epochs=2" in steps[name].command
        assert steps[name].typed.startswith("COCO_ROOT=")
    for task in ("Mask R-CNN", "UperNet", "Semantic FPN"):
        dino, selfpatch = (steps[f"{task} on {name}"].typed for name in ("DINO", "SelfPatch"))
        assert dino.replace("/dino/", "/selfpatch/") == selfpatch


def test_a_change_of_the_projects_own_code_runs_its_steps_again(data, tmp_path):
    pretrain = next(iter(plan(data, tmp_path, BUDGET)))
    files = {"/".join(path.parts[-2:]) for path in pretrain.inputs}
    assert {"models/vit.py", "engine/loop.py", "configs/demo_selfpatch.py"} <= files
    assert not {"results/report.py", "demo/plan.py"} & files


def test_real_data_is_found_where_it_lies(real_data, tmp_path):
    data = find_data(real_data, tmp_path, SIZES)
    assert data.images == real_data / "imagenette224" / "train"
    assert not list(tmp_path.iterdir())
