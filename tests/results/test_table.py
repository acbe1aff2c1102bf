"""Results files -> the table."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from selfpatch.backbones.file import BackboneInfo
from selfpatch.errors import InputError
from selfpatch.results.file import TASKS, Result, described_data, read_results
from selfpatch.results.formats import to_html, to_markdown, to_text
from selfpatch.results.published import PUBLISHED
from selfpatch.results.settings import UNKNOWN, flat
from selfpatch.results.table import build_table, version_list


def data(path: str, count: int, unit: str = "images") -> dict:
    return described_data(path, [f"{unit} {number}" for number in range(count)], unit)


def result(task="ade20k-upernet", method="dino", value=10.0, mark="a", **changes) -> Result:
    fields = dict(
        task=task,
        metrics=dict.fromkeys(TASKS.get(task, ()), value),
        config="small.py",
        dataset=data("data/ade20k", 2000),
        backbone=BackboneInfo({"family": "vit"}, method, "backbone", weights=mark).described(),
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


def test_results_of_different_settings_are_not_subtracted_and_the_rows_name_what_differs():
    """Two runs of one config, one of them with other options: once a difference of +4.00."""
    lr = "training.optim_wrapper.optimizer.lr"
    first = result(settings={lr: 6e-5, "training.model.backbone.frozen_stages": -1})
    other = result(
        method="dino+selfpatch",
        settings={lr: 1e-9, "training.model.backbone.frozen_stages": -1},
    )
    rows = [row for row in build_table([first, other]).rows if "UperNet" in row.task]
    assert sorted(row.task for row in rows) == [
        f"ADE20K, UperNet ({lr}=1e-09)",
        f"ADE20K, UperNet ({lr}=6e-05)",
    ]
    assert all(row.difference is None for row in rows)


def test_the_configs_name_does_not_matter_where_its_values_are_equal():
    other = result(method="dino+selfpatch", config="copy.py", value=12.0)
    (row,) = [row for row in build_table([result(), other]).rows if "UperNet" in row.task]
    assert row.difference == 2.0


def test_results_on_different_data_are_not_subtracted():
    names = [f"another {number}" for number in range(2000)]
    other = result(method="dino+selfpatch", dataset=described_data("elsewhere", names, "images"))
    rows = [row for row in build_table([result(), other]).rows if "UperNet" in row.task]
    assert [row.difference for row in rows] == [None, None]
    assert {row.task for row in rows} == {
        "ADE20K, UperNet (data elsewhere)", "ADE20K, UperNet (data data/ade20k)"
    }  # fmt: skip


def test_the_same_data_may_lie_elsewhere():
    other = result(method="dino+selfpatch", dataset=data("/scratch/ade", 2000))
    (row,) = [row for row in build_table([result(), other]).rows if "UperNet" in row.task]
    assert row.difference == 0.0


def test_part_of_a_data_set_says_so_and_has_no_published_number_beside_it():
    found = build_table([result(task="davis2017", dataset=data("DAVIS", 2, "sequences"))])
    row = row_of(found, "DAVIS", "J&F-Mean")
    assert row.task == "DAVIS 2017 (2 of 30 sequences)"
    assert row.published is None
    for render in (to_text, to_markdown, to_html):
        assert "2 of 30 sequences" in render(found)
        assert "61.77" not in render(found)
    only = [row for row in found.rows if row.published]
    assert bool(only) == any("Published numbers" in note for note in found.notes)
    whole = build_table([result(task="davis2017", dataset=data("DAVIS", 30, "sequences"))])
    assert row_of(whole, "DAVIS", "J&F-Mean").published is not None


def test_a_task_of_ones_own_has_rows_with_its_own_metrics():
    found = build_table([result(task="cells", metrics={"AP-box": 12.0, "speed": 3.0})])
    assert [(row.metric, row.values[0]) for row in found.rows if row.task == "cells"] == [
        ("AP-box", 12.0), ("speed", 3.0)
    ]  # fmt: skip


def test_a_task_of_ones_own_has_a_row_for_every_metric_that_any_of_its_results_has():
    both = [result(task="cells", metrics={"AP": 1.0})]
    both += [result(task="cells", metrics={"PQ": 2.0}, method="dino+selfpatch")]
    rows = [row for row in build_table(both).rows if row.task == "cells"]
    assert [(row.metric, row.values) for row in rows] == [("AP", (1.0, None)), ("PQ", (None, 2.0))]


def test_what_nobody_knows_the_training_of_is_compared_with_nothing():
    silent = {"training": UNKNOWN}
    both = [result(settings=silent), result(method="dino+selfpatch", settings=silent)]
    rows = [row for row in build_table(both).rows if "UperNet" in row.task]
    assert [row.task for row in rows] == ["ADE20K, UperNet (training unknown)"] * 2
    assert all(row.difference is None for row in rows)


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
    print_of = result().backbone["fingerprint"][:12]
    for fact in (
        print_of,
        "small.py",
        "data/ade20k, 2000 images",
        "a machine",
        "torch 2",
        "0.50 h",
    ):
        assert fact in text
        assert fact in to_markdown(build_table([result()]))


def test_settings_are_printed_one_by_one_where_they_are_few():
    settings = flat({"walk": {"radius": 12, "top_k": 5}, "tokens": "last"})
    table = build_table([result(settings=settings)])
    assert table.origins[0][4] == "tokens=last, walk.radius=12, walk.top_k=5"
    table = build_table([result(settings={str(number): 1 for number in range(200)})])
    assert table.origins[0][4].endswith("200 values in the results file")


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
    line = [sys.executable, "-m", "selfpatch", "table", tmp_path, "--format", "markdown"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 0
    assert "33.25" in done.stdout


def test_a_file_whose_fingerprint_and_architecture_disagree_is_refused(tmp_path):
    content = asdict(result())
    content["backbone"]["architecture"]["num_heads"] = 12
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="fingerprint is not that of its weights and architecture"):
        read_results([tmp_path])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"metrics": {"mIoU": 101.0}}, "its mIoU is 101.0, and percents go from 0 to 100"),
        ({"metrics": {"mIoU": -0.1}}, "percents go from 0 to 100"),
        ({"metrics": {"mIoU": True}}, "its mIoU is True"),
        ({"metrics": {"mIoU": float("nan")}}, "its mIoU is nan"),
        (
            {"task": "davis2017", "metrics": {"J&F-Mean": 60.0, "J-Mean": 60.0, "F-Mean": 50.0}},
            "its J&F-Mean is 60.0, and not the mean of 60.0 and 50.0",
        ),
    ],
)
def test_numbers_that_cannot_be_are_refused(changes, sentence, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(asdict(result(**changes))))
    with pytest.raises(InputError, match=sentence):
        read_results([tmp_path])


def test_one_backbone_has_one_method(tmp_path):
    for number, method in enumerate(("dino", "mocov3")):
        path = tmp_path / str(number) / "results.json"
        path.parent.mkdir()
        path.write_text(json.dumps(asdict(result(method=method))))
    with pytest.raises(InputError, match="names a backbone mocov3 that another result names dino"):
        read_results([tmp_path])


@pytest.mark.parametrize("content", [None, "no json", "{}"])
def test_the_tool_answers_a_bad_file_with_one_sentence(tmp_path, content, programs):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    done = programs.run("-m", "selfpatch", "table", path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
