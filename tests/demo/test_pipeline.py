"""From images to the table, through the commands that a user types, at the smallest budget."""

import re
from pathlib import Path

import pytest

from selfpatch.backbones.file import load_backbone
from selfpatch.demo.data import Sizes
from selfpatch.demo.plan import Budget
from selfpatch.demo.run import demo
from selfpatch.results.file import read_results
from selfpatch.results.table import Tables

# pycocotools' decoded arrays predate NumPy 2.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SIZES = Sizes(pretraining=32, coco_train=3, coco_val=5, ade_train=4, ade_val=2, frames=3, height=96)
DEMO_TASKS = ("coco-mask-rcnn", "ade20k-semantic-fpn", "ade20k-upernet", "davis2017")
BUDGET = Budget(images=32, detection=3, segmentation=2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, Tables]:
    work_dir = tmp_path_factory.mktemp("demo")
    return work_dir, demo(None, work_dir, BUDGET, SIZES)


def test_every_task_has_one_results_file_per_method(finished):
    work_dir, _ = finished
    results = list(read_results([work_dir]).values())
    found = sorted((result.task, result.backbone["method"]) for result in results)
    assert found == sorted((task, m) for task in DEMO_TASKS for m in ("dino", "dino+selfpatch"))
    for result in results:
        assert result.device
        assert result.versions["torch"]
        assert result.hours > 0
        assert (result.seed is None) == (result.task == "davis2017")
        assert result.backbone["seed"] == 0
        assert result.backbone["settings"]["train_cfg.max_epochs"] == 1


def test_results_name_the_exported_weights(finished):
    work_dir, _ = finished
    for method in ("dino", "selfpatch"):
        _, info = load_backbone(work_dir / method / "backbone.safetensors")
        for result in read_results([work_dir / method]).values():
            assert result.backbone["fingerprint"] == info.fingerprint


def test_the_table_compares_the_two(finished):
    _, tables = finished
    assert [table.task for table in tables.tables] == list(DEMO_TASKS)
    for table in tables.tables:
        dino, selfpatch = (row for row in table.rows if row.results)
        assert [dino.model.name, selfpatch.model.name] == ["DINO", "DINO + SelfPatch"]
        one, other = dino.cells[0].mean, selfpatch.cells[0].mean
        difference = selfpatch.cells[0].difference
        if one is None or other is None or difference is None:
            assert table.task == "coco-mask-rcnn"  # where nothing at all was found
            continue
        assert difference.value == pytest.approx(other - one)
        assert difference.how == "one seed"
        assert 0 <= one <= 100


def test_the_report_is_complete(finished):
    work_dir, _ = finished
    page = (work_dir / "report.html").read_text()
    assert "Not drawn" not in page
    assert "Nothing was found" not in page
    assert re.findall(r"(?:src|href)='(?!data:)", page) == []


def test_a_second_run_keeps_every_step(finished, capsys):
    work_dir, tables = finished
    assert demo(None, work_dir, BUDGET, SIZES) == tables
    printed = capsys.readouterr().out
    assert "start" not in printed
    assert printed.count("  kept ") == 12
