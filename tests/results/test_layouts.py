"""The paper's tables: which rows and columns, and what would fill the dashes."""

import ast
import re
from collections.abc import Iterable
from itertools import product

import pytest

from selfpatch.results.ablations import ABLATIONS, DEFAULT
from selfpatch.results.file import Result
from selfpatch.results.layouts import BASELINES, JOINED, LAYOUTS, build_tables
from selfpatch.results.missing import ABLATION, EPOCHS, PRETRAINING, commands_for, pretrain_command
from selfpatch.results.models import Model
from selfpatch.results.table import Row, Table
from tests import ROOT
from tests.results.made import (
    BACKBONES,
    MADE_TASKS,
    backbone,
    full_scale,
    in_files,
    recipe_of,
    result,
)


def tables(results: Iterable[Result], layout: str = "all") -> list[Table]:
    return list(build_tables(in_files(results), layout).tables)


def names(rows: Iterable[Row]) -> list[tuple[str, str]]:
    return [(row.model.name, row.model.trunk) for row in rows]


@pytest.fixture(scope="module")
def whole() -> list[Result]:
    return full_scale()


@pytest.mark.parametrize(
    ("layout", "tasks"),
    [
        ("coco", ["coco-mask-rcnn"]),
        ("ade20k", ["ade20k-semantic-fpn", "ade20k-upernet", "ade20k-linear"]),
        ("davis", ["davis2017"]),
        ("compatibility", list(MADE_TASKS)),
    ],
)
def test_every_backbone_of_a_whole_comparison_has_a_row_in_every_task(whole, layout, tasks):
    found = tables(whole, layout)
    assert [table.task for table in found] == tasks
    joined = [(m, v) for m, v, _ in BACKBONES if m.startswith("mo")]
    for table in found:
        rows = [row for row in table.rows if row.results]
        assert len(rows) == len(joined if layout == "compatibility" else BACKBONES)
        assert all(cell.mean is not None for row in rows for cell in row.cells)
        assert all(len(row.results) == 3 for row in rows if row.model.trunk != "ResNet-50")
        with_selfpatch = [row for row in rows if row.model.method.endswith("+selfpatch")]
        assert all(c.difference and c.difference.low for r in with_selfpatch for c in r.cells)


def test_trunks_stand_together_and_a_method_beside_itself_with_selfpatch(whole):
    (table,) = tables(whole, "coco")
    assert names(row for row in table.rows if row.results) == [
        ("SwAV", "ResNet-50"),
        ("DenseCL", "ResNet-50"),
        ("MoCo-v3", "ViT-S/16"),
        ("MoCo-v3 + SelfPatch", "ViT-S/16"),
        ("MoBY", "ViT-S/16"),
        ("MoBY + SelfPatch", "ViT-S/16"),
        ("DINO", "ViT-S/16"),
        ("DINO + SelfPatch", "ViT-S/16"),
        ("MoBY", "Swin-T"),
        ("MoBY + SelfPatch", "Swin-T"),
    ]


def test_all_prints_what_there_is_and_names_what_there_is_not(whole):
    found = build_tables(in_files(whole))
    assert found.empty == ("ablations",)
    assert [table.layout for table in found.tables] == [
        "coco", "ade20k", "ade20k", "ade20k", "davis", "compatibility"
    ]  # fmt: skip
    assert build_tables({}).empty == tuple(LAYOUTS)
    assert build_tables({}).tables == ()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_asked_for_by_name_has_all_rows_as_dashes_with_commands(layout):
    found = tables([], layout)
    assert found
    for table in found:
        dashes = [row for row in table.rows if not row.is_published]
        assert dashes
        assert all(row.commands and not row.results for row in dashes)
        assert all(cell.mean is None for row in dashes for cell in row.cells)


def test_the_papers_methods_are_the_rows_of_an_empty_table():
    (table,) = tables([], "coco")
    found = {row.model[:2] for row in table.rows if row.commands}
    swin = {("moby", "Swin-T"), ("moby+selfpatch", "Swin-T")}  # one of them was published
    assert found == {model[:2] for model in BASELINES} | swin


def test_published_numbers_have_rows_of_their_own_and_are_never_subtracted(whole):
    for table in tables(whole):
        for row in table.rows:
            published = [cell for cell in row.cells if cell.published]
            assert not (published and row.results)
            assert all(cell.difference is None and cell.mean is None for cell in published)
    (table,) = tables([], "coco")
    found = {
        (row.model.name, cell.published.metric): cell.published.value
        for row in table.rows
        for cell in row.cells
        if cell.published
    }
    assert found == {
        ("DINO", "AP-box"): 40.8, ("DINO", "AP-mask"): 37.3,
        ("DINO + SelfPatch", "AP-box"): 42.1, ("DINO + SelfPatch", "AP-mask"): 38.5,
        ("MoBY", "AP-box"): 43.6, ("MoBY", "AP-mask"): 39.6,
    }  # fmt: skip


def test_a_published_gain_is_no_value():
    (table,) = tables([], "compatibility")
    gains = [cell.published for row in table.rows for cell in row.cells if cell.published]
    assert [(n.trunk, n.value, n.gain) for n in gains] == [
        ("ViT-S/16", 4.8, True), ("Swin-T", 5.6, True)
    ]  # fmt: skip


def test_part_of_the_data_leaves_the_papers_row_to_be_filled():
    dino = backbone(recipe=recipe_of("dino"))
    (table,) = tables([result(of=dino, count=2)], "davis")
    rows = [row for row in table.rows if row.model[:2] == ("dino", "ViT-S/16")]
    assert [row.setting for row in rows if row.results] == ["2 of 30 sequences"]
    assert [row.commands for row in rows if row.commands] == [
        ("selfpatch davis run --davis DIR --weights backbone.safetensors --out DIR",)
    ]


def test_the_partner_of_what_was_measured_is_missing_and_says_how_to_make_it():
    moby = backbone("moby+selfpatch", "swin_tiny", recipe=recipe_of("moby+selfpatch"))
    (table,) = [t for t in tables([result(of=moby)]) if t.layout == "davis"]
    (row,) = [row for row in table.rows if row.commands]
    assert (row.model.name, row.model.trunk) == ("MoBY", "Swin-T")
    assert row.commands[0] == "selfpatch pretrain moby_swin-t_8xb64-300e_in1k --data DIR"


def test_metrics_that_nobody_has_get_no_column():
    some = {"J&F-Mean": 50.0, "J-Mean": 50.0, "F-Mean": 50.0}
    (table,) = tables([result(metrics=some)], "davis")
    assert table.metrics == ("J&F-Mean", "J-Mean", "F-Mean")
    (table,) = tables([result(metrics={**some, "F-Recall": 60.0})], "davis")
    assert table.metrics == ("J&F-Mean", "J-Mean", "F-Mean", "F-Recall")


def test_a_task_of_ones_own_has_a_table_with_its_own_metrics():
    dino = backbone(recipe=recipe_of("dino"))
    both = [
        result("cells", metrics={"AP": 12.0}),
        result("cells", metrics={"PQ": 3.0}, of=dino, seed=1),
    ]
    (table,) = tables(both)
    assert (table.layout, table.title, table.metrics) == ("own", "cells", ("AP", "PQ"))


# ablations


def ablation(seed: int = 0, value: float = 50.0, task: str = "davis2017", **parts) -> Result:
    recipe = recipe_of("dino+selfpatch", EPOCHS, **parts)
    return result(task, value, of=backbone("dino+selfpatch", seed=seed, recipe=recipe))


def test_an_ablation_compares_each_value_with_the_default():
    results = [ablation(seed, 50.0 + seed) for seed in range(2)]
    results += [ablation(seed, 48.0 + seed, k=1) for seed in range(2)]
    results += [ablation(aggregation="none", value=40.0)]
    by_part = {table.title.split(",")[0]: table for table in tables(results, "ablations")}
    assert list(by_part) == ["Ablation of k", "Ablation of aggregation"]
    rows = by_part["Ablation of k"].rows
    assert [row.variant for row in rows] == ["k=1", "k=2", "k=4", "k=8", "k=all"]
    assert [bool(row.results) for row in rows] == [True, False, True, False, False]
    found = rows[0].cells[0].difference
    assert found is not None
    assert (found.baseline, found.value, found.how) == ("k=4", -2.0, "paired")
    assert rows[2].cells[0].difference is None
    assert rows[1].commands[0].endswith("--data DIR --cfg-options model.selfpatch.k=2")
    assert ABLATION in rows[1].commands[0]
    alone = by_part["Ablation of aggregation"].rows[2].cells[0].difference
    assert alone is not None
    assert alone.how == "one seed"


def test_an_ablation_in_another_setting_than_the_default_has_no_difference():
    recipe = recipe_of("dino+selfpatch", EPOCHS, k=1)
    other = result(of=backbone("dino+selfpatch", recipe=recipe), settings={"lr": 1.0})
    (table,) = tables([ablation(), other], "ablations")
    found = table.rows[0].cells[0].difference
    assert found is not None
    assert (found.value, found.how) == (None, "another setting")


def test_recipes_that_differ_in_more_than_a_part_are_no_ablation():
    assert tables([ablation(), ablation(k=1, neighbourhood=5)], "ablations")[0].rows[0].commands
    longer = recipe_of("dino+selfpatch", 300, k=1)
    other = result(of=backbone("dino+selfpatch", recipe=longer))
    assert "ablations" in build_tables(in_files([ablation(), other])).empty


def test_a_value_that_the_paper_does_not_have_gets_a_row_too():
    (table,) = tables([ablation(), ablation(k=3)], "ablations")
    assert [row.variant for row in table.rows if row.results] == ["k=4", "k=3"]


def test_what_an_ablations_backbone_lacks_is_the_task_alone():
    results = [ablation(), ablation(k=1), ablation(task="coco-mask-rcnn")]
    found = [t for t in tables(results, "ablations") if t.task == "coco-mask-rcnn"]
    assert [row.commands for row in found[0].rows if row.variant == "k=1"] == [
        (
            "selfpatch finetune mask-rcnn_selfpatch-vit-s16_fpn_1x_coco"
            " --cfg-options model.backbone.init_cfg.checkpoint=backbone.safetensors",
        )
    ]


def literal(config: str) -> dict[str, ast.expr]:
    """Keyword -> value, of every dict(...) call of a config."""
    tree = ast.parse((ROOT / f"selfpatch/configs/{config}.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {word.arg: word.value for call in calls for word in call.keywords if word.arg}


def test_the_ablations_are_those_of_the_config_and_its_defaults_too():
    page = ast.get_docstring(ast.parse((ROOT / f"selfpatch/configs/{ABLATION}.py").read_text()))
    for part, values in ABLATIONS.items():
        stated = re.search(rf"selfpatch\.{part}=(\w+)\s+\((.*)\)", page or "")
        assert stated is not None
        others, default = re.split(r"[;,] default |default ", stated[2])
        listed = [stated[1], *(value for value in others.split(", ") if value), default]
        assert sorted(listed) == sorted(values)
        assert default == DEFAULT[part]
    base = literal("selfpatch_vit-s16_8xb128-200e_in1k")
    assert {part: str(ast.literal_eval(base[part])) for part in DEFAULT} == DEFAULT
    assert ast.literal_eval(literal(ABLATION)["max_epochs"]) == EPOCHS


# commands


CONFIGS = {
    path.stem
    for folder in ("selfpatch/configs", "mmdet_configs", "mmseg_configs")
    for path in (ROOT / folder).glob("*.py")
}


def test_every_config_that_a_table_names_exists():
    trunks = [model.trunk for model in (*BASELINES, *JOINED)]
    methods = ["swav", *dict(PRETRAINING)]
    assert set(PRETRAINING.values()) | {ABLATION} <= CONFIGS
    tasks = (*MADE_TASKS, "coco-cascade-mask-rcnn", "coco-vitdet")
    for task, trunk, method in product(tasks, {*trunks, "ViT-B/16"}, methods):
        name = method if isinstance(method, str) else method[0]
        for command in commands_for(Model(name, trunk), task, has_backbone=False):
            if command.startswith(("selfpatch pretrain", "selfpatch finetune")):
                assert command.split()[2] in CONFIGS


def test_every_trunk_of_the_paper_has_a_config_for_every_task_of_the_paper():
    tasks = ("coco-mask-rcnn", "ade20k-semantic-fpn", "ade20k-upernet", "ade20k-linear")
    for task, model in product(tasks, (*BASELINES, *JOINED)):
        *_, command = commands_for(model, task, has_backbone=True)
        assert command.startswith("selfpatch finetune ")


def test_another_size_of_a_trunk_is_an_option_away():
    command = commands_for(Model("moby", "ViT-B/16"), "davis2017", has_backbone=False)[0]
    assert command == pretrain_command(
        "moby_vit-s16_8xb64-300e_in1k",
        ["model.trunk.variant=vit_base", "model.trunk.patch_size=16"],
    )


def test_what_no_config_does_is_said():
    first, second = commands_for(Model("dino", "ViT-192x6/16"), "coco-vitdet", has_backbone=False)
    assert first.startswith("# no config pretrains DINO with ViT-192x6/16")
    assert second.startswith("# no config does that with ViT-192x6/16")
    first, second = commands_for(Model("swav", "ResNet-50"), "cells{}", has_backbone=False)
    assert first == "selfpatch import CHECKPOINT backbone.safetensors --method swav"
    assert second.startswith("# then the task")
