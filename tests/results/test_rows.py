"""What is averaged, what is subtracted, and what is neither."""

from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, stdev

import pytest

from selfpatch.errors import InputError
from selfpatch.results.file import Result, described_data
from selfpatch.results.layouts import build_tables
from selfpatch.results.rows import IMAGES
from selfpatch.results.settings import UNKNOWN
from selfpatch.results.table import Row
from tests.results.made import VERSIONS, backbone, in_files, recipe_of, result

UPERNET = "ade20k-upernet"


def of(method: str, seed: int = 0, **recipe) -> dict:
    return backbone(method, seed=seed, recipe=recipe_of(method, **recipe))


def one(method: str = "dino", value: float = 40.0, seed: int = 0, **changes) -> Result:
    return result(UPERNET, value, of=of(method, seed), seed=seed, **changes)


def measured(results: Iterable[Result]) -> list[Row]:
    (table,) = [t for t in build_tables(in_files(results)).tables if t.layout == "ade20k"]
    return [row for row in table.rows if row.results]


def test_a_model_has_a_row_with_mean_and_deviation_over_its_seeds():
    values = [40.0, 40.5, 42.0]
    (row,) = measured(one(value=value, seed=seed) for seed, value in enumerate(values))
    assert row.cells[0].values == {(0, 0): 40.0, (1, 1): 40.5, (2, 2): 42.0}
    assert row.cells[0].mean == pytest.approx(fmean(values))
    assert row.cells[0].deviation == pytest.approx(stdev(values))


def test_a_null_is_no_value_and_lowers_the_number_of_seeds():
    results = [one(value=40.0), one(seed=1, metrics={"mIoU": None, "mAcc": 50.0, "aAcc": None})]
    (row,) = measured(results)
    assert row.cells[0].values == {(0, 0): 40.0}
    assert len(row.cells[1].values) == 2


def test_two_results_of_one_seed_are_refused_in_a_sentence_with_both_files():
    results = {Path("a/results.json"): one(), Path("b/results.json"): one(value=41.0)}
    with pytest.raises(
        InputError, match=r"a/results.json and b/results.json are two results of one"
    ):
        build_tables(results)


def test_equal_seeds_of_other_tasks_models_and_settings_are_no_contradiction():
    results = [
        one(), result("ade20k-linear", of=of("dino"), seed=0), one("moby"),
        one(settings={"lr": 1.0}), one(seed=1),
    ]  # fmt: skip
    assert sum(len(table.rows) for table in build_tables(in_files(results)).tables) > 4


def test_tasks_that_draw_nothing_vary_with_the_backbones_seed():
    results = in_files(result(of=of("dino", seed), seed=None) for seed in range(2))
    (row,) = [row for row in build_tables(results).tables[0].rows if row.results]
    assert list(row.cells[0].values) == [(0, None), (1, None)]


def test_of_an_imported_backbone_only_the_tasks_seeds_vary():
    results = [result(UPERNET, 40.0 + seed, of=backbone(), seed=seed) for seed in range(3)]
    (row,) = measured(results)
    assert list(row.cells[0].values) == [(None, 0), (None, 1), (None, 2)]


def test_selfpatch_is_compared_with_the_same_method_and_trunk():
    results = [one("moby", 30.0), one("moby+selfpatch", 33.0), one("dino", 40.0)]
    swin = backbone("moby", "swin_tiny", recipe=recipe_of("moby"))
    results.append(result(UPERNET, 20.0, of=swin, seed=0))
    (row,) = [row for row in measured(results) if row.model.method == "moby+selfpatch"]
    found = row.cells[0].difference
    assert found is not None
    assert (found.baseline, found.value, found.how) == ("MoBY", 3.0, "one seed")
    others = [row for row in measured(results) if row.model.method != "moby+selfpatch"]
    assert all(cell.difference is None for row in others for cell in row.cells)


def test_without_the_method_alone_there_is_no_difference_but_a_word():
    (row,) = measured([one("dino+selfpatch")])
    found = row.cells[0].difference
    assert found is not None
    assert (found.value, found.how) == (None, "no DINO")


def test_of_two_recipes_the_nearer_one_is_the_baseline():
    results = [result(UPERNET, 40.0, of=of("dino", epochs=200), seed=0)]
    results += [result(UPERNET, 10.0, of=of("dino", epochs=300), seed=0)]
    results += [result(UPERNET, 42.0, of=of("dino+selfpatch", epochs=200), seed=0)]
    found = measured(results)[-1].cells[0].difference
    assert found is not None
    assert (found.baseline, found.value) == ("DINO (max_epochs=200)", 2.0)


def test_a_baseline_of_another_length_is_named_with_it():
    results = [result(UPERNET, 40.0, of=of("dino", epochs=300), seed=0)]
    results += [result(UPERNET, 42.0, of=of("dino+selfpatch", epochs=200), seed=0)]
    found = measured(results)[-1].cells[0].difference
    assert found is not None
    assert (found.baseline, found.value) == ("DINO (max_epochs=300)", 2.0)


def test_a_baseline_that_saw_other_images_is_not_subtracted():
    found = []
    for names in ("a", "b"):
        results = [
            result(UPERNET, of=backbone(method, seed=0, recipe={**recipe_of(method), IMAGES: own}))
            for method, own in (("dino", "a"), ("dino+selfpatch", names))
        ]
        found.append(measured(results)[-1].cells[0].difference)
    assert found[0] is not None
    assert found[0].value == 0.0
    assert found[1] is not None
    assert (found[1].value, found[1].how) == (None, "pretrained on other images")


def test_of_recipes_that_are_as_near_none_is_the_baseline():
    results = [result(UPERNET, of=of("dino", epochs=epochs), seed=0) for epochs in (100, 300)]
    results += [result(UPERNET, of=of("dino+selfpatch", epochs=200), seed=0)]
    found = measured(results)[-1].cells[0].difference
    assert found is not None
    assert (found.value, found.how) == (None, "which DINO?")


def test_a_baseline_without_the_value_leaves_no_difference():
    results = [one(metrics={"mIoU": None, "mAcc": 50.0}), one("dino+selfpatch")]
    found = measured(results)[-1].cells[0].difference
    assert found is not None
    assert (found.value, found.how) == (None, "no value")


ELSEWHERE = described_data("elsewhere", [f"other {number}" for number in range(2000)], "images")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settings": {"training.optim.lr": 1.0}}, "lr=1.0"),
        ({"dataset": ELSEWHERE}, "data elsewhere"),
        ({"count": 3}, "3 of 2000 images"),
        ({"versions": {**VERSIONS, "mmcv operators": "compiled"}}, "mmcv operators: compiled"),
        ({"settings": {"training": UNKNOWN}}, "training unknown"),
    ],
    ids=["protocol", "other data", "part of the data", "operators", "unknown training"],
)
def test_results_of_another_setting_stand_apart_and_say_what_differs(changes, said):
    usual = {"settings": {"training.optim.lr": 2.0}}
    results = [one(**usual), one("dino+selfpatch", 42.0, **{**usual, **changes})]
    rows = measured(results)
    assert said in rows[1].setting
    found = rows[1].cells[0].difference
    assert found is not None
    assert (found.value, found.how) == (None, "another setting")
    averaged = measured([one(**usual), one(seed=1, **{**usual, **changes})])
    assert [len(row.results) for row in averaged] == [1, 1]


def test_another_reading_of_the_features_is_another_setting():
    readings = ("last-block", "final-norm")
    results = [result(of=of("dino"), settings={"reading.tokens": tokens}) for tokens in readings]
    (table,) = build_tables(in_files(results)).tables
    said = [row.setting for row in table.rows if row.results]
    assert said == ["tokens=final-norm", "tokens=last-block"]


def test_operators_that_tracking_does_not_use_split_no_row():
    """A process that has loaded mmcv says so, and one that has not does not."""
    loaded = result(of=of("dino", 1), versions={**VERSIONS, "mmcv operators": "torchvision"})
    (table,) = build_tables(in_files([result(of=of("dino", 0)), loaded])).tables
    assert [len(row.results) for row in table.rows if row.results] == [2]


def test_what_nobody_knows_the_training_of_is_averaged_with_nothing():
    silent = {"settings": {"training": UNKNOWN}}
    results = [one("dino", **silent), one("dino+selfpatch", **silent)]
    rows = measured(results)
    assert [row.setting for row in rows] == ["training unknown", "training unknown"]
    assert rows[1].cells[0].difference is not None
    assert rows[1].cells[0].difference.how == "another setting"


def test_data_are_known_by_their_names_wherever_they_lie():
    paths = ("data/ade20k", "data/ade20k/", "/scratch/ade20k", "../ade20k")
    (row,) = measured(one(seed=seed, path=path) for seed, path in enumerate(paths))
    assert len(row.results) == 4
    assert row.setting == ""


def test_settings_of_another_trunk_are_no_other_setting():
    """A Swin's config has other strides; no ViT is compared with it."""
    swin = backbone("moby", "swin_tiny", recipe=recipe_of("moby"))
    results = [one(settings={"type": "ViT"}), result(UPERNET, of=swin, settings={"type": "Swin"})]
    assert [row.setting for row in measured(results)] == ["", ""]
