"""From images to the tables, through the commands that a user types, at the smallest budget."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from selfpatch.backbones.loading import load_backbone
from selfpatch.commands.demo import find_data
from selfpatch.errors import InputError
from selfpatch.results.file import read_results
from selfpatch.results.layouts import build_tables
from selfpatch.shipped import find_plan
from tests import ROOT

SMALLER = {
    r"sizes: .*": "sizes: {pretraining: 32, coco_train: 3, coco_val: 5, ade_train: 4, ade_val: 2,"
    " frames: 3, height: 96}",
    r"max_images: 256": "max_images: 32",
    r"max_epochs: 4": "max_epochs: 1",
    r"warmup_epochs: 0\.8": "warmup_epochs: 0.2",
    r"indices: 48": "indices: 3",
    r"(max_iters|val_interval|end): 30": r"\1: 2",
    r"(end|begin): 3\b": r"\1: 1",
}
"""The demo's plan, smaller."""

TASKS = ("coco-mask-rcnn", "ade20k-semantic-fpn", "ade20k-upernet", "davis2017")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    text = find_plan("demo").read_text()
    for old, new in SMALLER.items():
        text, count = re.subn(old, new, text)
        assert count, old
    (folder / "demo.yaml").write_text(text)
    line = ["bench", str(folder / "demo.yaml"), "--work-dir", str(folder / "work")]
    subprocess.run([sys.executable, "-m", "selfpatch", *line], cwd=ROOT, check=True)
    return folder / "work"


@pytest.mark.slow
def test_every_task_has_a_result_of_each_method_with_its_weights(finished):
    results = read_results([finished])
    found = sorted((r.task, r.backbone["method"]) for r in results.values())
    assert found == sorted((task, m) for task in TASKS for m in ("dino", "dino+selfpatch"))
    for path, result in results.items():
        assert result.device
        assert result.versions["torch"]
        assert result.hours > 0
        assert (result.seed is None) == (result.task == "davis2017")
        assert result.backbone["seed"] == 0
        assert result.backbone["settings"]["train_cfg.max_epochs"] == 1
        _, info = load_backbone(path.parents[1] / "backbone/backbone.safetensors")
        assert result.backbone["fingerprint"] == info.fingerprint


@pytest.mark.slow
def test_the_tables_compare_the_two(finished):
    tables = build_tables(read_results([finished])).tables
    assert sorted(table.task for table in tables) == sorted(TASKS)
    for table in tables:
        dino, selfpatch = (row for row in table.rows if row.results)
        assert [dino.model.name, selfpatch.model.name] == ["DINO", "DINO + SelfPatch"]
        one, other = dino.cells[0].mean, selfpatch.cells[0].mean
        difference = selfpatch.cells[0].difference
        if one is None or other is None or difference is None:
            assert table.task == "coco-mask-rcnn"  # where nothing at all was found
            continue
        assert difference.value == pytest.approx(other - one)
        assert difference.how == "one seed"


@pytest.mark.slow
def test_the_report_is_complete(finished):
    page = (finished / "report.html").read_text()
    assert "Not drawn" not in page
    assert page.count("selfpatch pretrain demo_") == 2


def test_missing_data_sets_are_listed_in_one_sentence(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError) as caught:
        find_data(tmp_path)
    message = str(caught.value)
    assert all(name in message for name in ("COCO", "ADE20K", "DAVIS"))
    assert "a folder of images" not in message
    with pytest.raises(InputError, match="does not exist; without one, data are generated"):
        find_data(tmp_path / "nowhere")


def test_real_data_are_found_where_they_lie(real_data):
    found = find_data(real_data)
    assert found["images"] == str(real_data / "imagenette224/train")
    assert set(found) == {"images", "coco", "ade20k", "davis"}
