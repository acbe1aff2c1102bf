"""From images to the table, through the commands that a user types, at the smallest budget."""

import math
import re
from pathlib import Path

import pytest

from selfpatch.backbones.file import load_backbone
from selfpatch.demo.data import Sizes
from selfpatch.demo.plan import Budget
from selfpatch.demo.run import demo
from selfpatch.results.file import read_results
from selfpatch.results.table import Table

# pycocotools' decoded arrays predate NumPy 2.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SIZES = Sizes(pretraining=32, coco_train=3, coco_val=5, ade_train=4, ade_val=2, frames=3, height=96)
DEMO_TASKS = ("coco-mask-rcnn", "ade20k-semantic-fpn", "ade20k-upernet", "davis2017")
BUDGET = Budget(images=32, detection=3, segmentation=2)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, Table]:
    work_dir = tmp_path_factory.mktemp("demo")
    return work_dir, demo(None, work_dir, BUDGET, SIZES)


def test_every_task_has_one_results_file_per_method(finished):
    work_dir, _ = finished
    results = read_results([work_dir])
    found = sorted((result.task, result.backbone["method"]) for result in results)
    assert found == sorted((task, m) for task in DEMO_TASKS for m in ("dino", "dino+selfpatch"))
    for result in results:
        assert result.device
        assert result.versions["torch"]
        assert result.hours > 0


def test_results_name_the_exported_weights(finished):
    work_dir, _ = finished
    for method in ("dino", "selfpatch"):
        _, info = load_backbone(work_dir / method / "backbone.safetensors")
        for result in read_results([work_dir / method]):
            assert result.backbone["fingerprint"] == info.fingerprint


def test_the_table_compares_the_two(finished):
    _, table = finished
    assert table.columns == ("DINO", "SelfPatch")
    davis = next(row for row in table.rows if row.metric == "J&F-Mean")
    dino, selfpatch = davis.values
    assert dino is not None
    assert selfpatch is not None
    assert davis.difference == pytest.approx(selfpatch - dino)
    assert 0 <= dino <= 100
    assert len(table.origins) == 2 * len(DEMO_TASKS)
    assert not any(math.isnan(v) for row in table.rows for v in row.values if v is not None)


def test_the_report_is_complete(finished):
    work_dir, _ = finished
    page = (work_dir / "report.html").read_text()
    assert "Not drawn" not in page
    assert "Nothing was found" not in page
    assert re.findall(r"(?:src|href)='(?!data:)", page) == []


def test_a_second_run_keeps_every_step(finished, capsys):
    work_dir, table = finished
    assert demo(None, work_dir, BUDGET, SIZES) == table
    printed = capsys.readouterr().out
    assert "start" not in printed
    assert printed.count("  kept ") == 12
