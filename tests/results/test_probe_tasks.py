"""Probes' tasks: what their names say, and their tables."""

import pytest

from selfpatch.results.layouts import build_tables
from selfpatch.results.probes import probe_task
from selfpatch.results.rows import share
from selfpatch.results.table import task_title
from tests.results.made import backbone, recipe_of, result


@pytest.mark.parametrize(
    ("task", "title"),
    [
        ("ade20k-in-context-512", "ADE20K, in-context segmentation, 512 pixels"),
        ("ade20k-1of8-in-context-512", "ADE20K, 1/8, in-context segmentation, 512 pixels"),
        ("coco-things-overclustering-448", "COCO-Things, overclustering, 448 pixels"),
        ("coco-discovery-480", "COCO, object discovery, 480 pixels"),
        ("voc2007-discovery", "PASCAL VOC 2007, object discovery"),
        ("nyu-depth-in-context-480", "NYU, depth (in-context), 480 pixels"),
        ("my-cells-linear-96", "my-cells, linear segmentation, 96 pixels"),
        ("ade20k-linear", "ADE20K, linear head"),  # mmsegmentation's
        ("cells", "cells"),
        ("nyu-depth-linear-64", "NYU, depth (linear), 64 pixels"),
        ("data-knn-linear-448", "data-knn, linear segmentation, 448 pixels"),
        ("vocabulary-linear-64", "vocabulary, linear segmentation, 64 pixels"),
        ("voc-aug-linear-448", "PASCAL VOC 2012-aug, linear segmentation, 448 pixels"),
    ],
)
def test_a_task_has_a_title(task, title):
    assert task_title(task) == title


def test_a_name_says_what_is_measured_on_what():
    assert probe_task("nyu-depth-in-context-480") == ("nyu", "depth", "in-context", "480")
    assert probe_task("davis2017") is None


def test_probes_have_a_table_each_with_differences_and_commands():
    def measured(method: str, task: str, value: float, seed: int):
        of = backbone(method, seed=seed, recipe=recipe_of(method))
        return result(task, of=of, metrics={"mIoU": value}, seed=0)

    tasks = ("voc-linear-448", "ade20k-in-context-512")
    results = [measured("dino", tasks[1], 20.0 + seed, seed) for seed in (0, 1)]
    results += [
        measured("dino+selfpatch", task, 23.0 + seed, seed) for seed in (0, 1) for task in tasks
    ]
    files = {f"{number}.json": one for number, one in enumerate(results)}
    tables = build_tables(files).tables
    assert [(table.layout, table.task) for table in tables] == [
        ("probes", tasks[1]), ("probes", tasks[0])
    ]  # fmt: skip
    plain, ours = tables[0].rows
    assert (plain.cells[0].mean, ours.cells[0].mean) == (20.5, 23.5)
    assert ours.cells[0].difference.value == 3.0
    missing = next(row for row in tables[1].rows if not row.results)
    assert missing.model.method == "dino"
    assert missing.commands[-1].startswith(
        "selfpatch probe linear --weights FILE".replace("FILE", "backbone.safetensors --size 448")
    )


def test_a_probe_is_of_a_part_of_a_data_set_only_where_it_tests_on_all_images():
    assert share(result("ade20k-in-context-512", count=3)) == "3 of 2000 images"
    assert share(result("coco-discovery", count=19817)) == ""
    assert share(result("ade20k-upernet", count=3)) == "3 of 2000 images"
