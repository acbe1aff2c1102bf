"""Results files -> the table."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from selfpatch.results.file import TASKS, Result, read_results
from selfpatch.results.formats import to_html, to_markdown, to_text
from selfpatch.results.published import PUBLISHED
from selfpatch.results.table import build_table, version_list
from tests import ROOT


def result(task="ade20k-upernet", method="dino", value=10.0, mark="a", **changes) -> Result:
    fields = dict(
        task=task,
        metrics=dict.fromkeys(TASKS[task], value),
        config="small.py",
        dataset="data/ade20k",
        backbone={"method": method, "fingerprint": f"{mark}{method}", "source": "backbone"},
        hours=0.5,
        device="a machine",
        versions={"torch": "2"},
        created="2026-01-01",
    )
    return Result(**{**fields, **changes})


def row_of(table, task, metric):
    return next(row for row in table.rows if row.task.startswith(task) and row.metric == metric)


def test_difference_is_selfpatch_minus_dino():
    table = build_table([result(value=10.0), result(method="dino+selfpatch", value=12.5)])
    row = row_of(table, "ADE20K, UperNet", "mIoU")
    assert table.columns == ("DINO", "SelfPatch")
    assert row.values == (10.0, 12.5)
    assert row.difference == 2.5
    assert "+2.50" in to_text(table)


def test_a_published_task_has_its_rows_and_missing_results_are_dashes():
    table = build_table([])
    published = {task for task, _ in PUBLISHED}
    assert len(table.rows) == sum(len(TASKS[task]) for task in published)
    assert {cell for line in table.cells() for cell in line[2:5]} == {"-"}


def test_a_task_without_published_numbers_has_rows_once_somebody_ran_it():
    assert not any(row.task.startswith("COCO, ViTDet") for row in build_table([]).rows)
    table = build_table([result(task="coco-vitdet", value=30.0)])
    assert row_of(table, "COCO, ViTDet", "AP-box").values[0] == 30.0


def test_a_value_that_could_not_be_computed_is_a_dash():
    table = build_table([result(metrics={"mIoU": None}), result(method="dino+selfpatch")])
    row = row_of(table, "ADE20K, UperNet", "mIoU")
    assert (row.values, row.difference) == ((None, 10.0), None)


def test_results_of_different_configs_are_not_subtracted():
    other = result(method="dino+selfpatch", config="other.py")
    rows = [row for row in build_table([result(), other]).rows if "UperNet" in row.task]
    assert [row.values for row in rows] == [(None, 10.0), (10.0, None)]
    assert all(row.difference is None for row in rows)
    assert ["other.py" in rows[0].task, "small.py" in rows[1].task] == [True, True]


def test_results_on_different_data_are_not_subtracted():
    other = result(method="dino+selfpatch", dataset="elsewhere")
    rows = [row for row in build_table([result(), other]).rows if "UperNet" in row.task]
    assert [row.difference for row in rows] == [None, None]


def test_of_two_runs_of_one_backbone_the_newest_counts_and_the_table_says_so():
    newer = result(value=20.0, created="2026-02-01")
    table = build_table([newer, result(value=10.0)])
    assert row_of(table, "ADE20K, UperNet", "mIoU").values[0] == 20.0
    assert any("1 older" in note for note in table.notes)


def test_two_backbones_of_one_method_get_a_column_each_and_no_difference():
    both = [result(mark="a"), result(mark="b"), result(method="dino+selfpatch")]
    table = build_table(both)
    assert len(table.columns) == 3
    assert row_of(table, "ADE20K, UperNet", "mIoU").difference is None


def test_another_method_gets_a_column_after_the_two():
    table = build_table([result(method="moby", value=1.0), result()])
    assert table.columns == ("DINO", "SelfPatch", "moby")
    assert row_of(table, "ADE20K, UperNet", "mIoU").values == (10.0, None, 1.0)


def test_published_numbers_have_a_source_and_are_labelled_as_another_setting():
    for render in (to_text, to_markdown, to_html):
        text = render(build_table([]))
        assert "another setting" in text.replace("\n", " ")
        assert "42.3" in text
        assert "about 61.77" in text
    assert all(published.source for published in PUBLISHED.values())
    assert set(PUBLISHED) <= {(task, metric) for task in TASKS for metric in TASKS[task]}


def test_a_number_can_be_traced_to_weights_config_device_and_versions():
    text = to_text(build_table([result()]))
    for fact in ("adino", "small.py", "data/ade20k", "a machine", "torch 2", "0.50 h"):
        assert fact in text


def test_settings_in_groups_are_printed_one_by_one():
    table = build_table([result(settings={"walk": {"radius": 12, "top_k": 5}, "tokens": "last"})])
    assert table.origins[0][4] == "tokens=last, radius=12, top_k=5"


def test_versions_name_the_distribution_only_where_it_differs():
    versions = {"python": "3.11.7", "torch": "torch 2.11.0", "mmcv": "onedl-mmcv 2.3.6"}
    assert version_list(versions) == "python 3.11.7, torch 2.11.0, mmcv (onedl-mmcv) 2.3.6"


def test_html_escapes_what_it_prints():
    assert "<script>" not in to_html(build_table([result(method="<script>")]))


@pytest.mark.slow
def test_the_tool_reads_files_and_folders(tmp_path):
    path = tmp_path / "run" / "results.json"
    path.parent.mkdir()
    path.write_text(json.dumps(asdict(result(value=33.25))))
    assert read_results([path]) == read_results([tmp_path])
    line = [sys.executable, ROOT / "tools/table.py", tmp_path, "--format", "markdown"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0
    assert "33.25" in done.stdout


@pytest.mark.parametrize("content", [None, "no json", "{}"])
def test_the_tool_answers_a_bad_file_with_one_sentence(tmp_path, content, programs):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    done = programs.run("tools/table.py", path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
