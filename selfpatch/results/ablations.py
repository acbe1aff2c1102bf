"""Results -> what changes when one part of SelfPatch is changed: the paper's Sec. 5.1."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from selfpatch.results.file import TASKS, Results
from selfpatch.results.missing import ABLATION, EPOCHS, pretrain_command, recipe_for, task_command
from selfpatch.results.models import Model, model_of, recipe_of
from selfpatch.results.rows import measured_rows, one_of, setting_of, with_differences
from selfpatch.results.settings import Settings, differences, digest
from selfpatch.results.statistics import Difference
from selfpatch.results.table import MORE_METRICS, TASK_NAMES, Cell, Row, Table

ABLATIONS = {
    "neighbourhood": ("3", "5", "7", "all"),
    "k": ("1", "2", "4", "8", "all"),
    "aggregation": ("attention", "mean", "none"),
}
"""Part of SelfPatch -> its values, in the order of the rows."""

DEFAULT = {"neighbourhood": "3", "k": "4", "aggregation": "attention"}
"""What the paper takes."""

SETTING = "model.selfpatch."
"""What precedes a part's name in a recipe."""


@dataclass(frozen=True)
class Family:
    """Models whose recipes differ in nothing but parts of SelfPatch.

    Attributes:
        recipe: What they share.
        models: Part -> its value -> the model that has it, and the defaults of all other parts.
    """

    recipe: Settings
    models: dict[str, dict[str, Model]]


def ablation_tables(results: Results, whole: bool) -> list[Table]:
    """A table per task, family and part; ``whole`` gives dashes where there is no family."""
    found = families(results)
    tables = []
    for family in found:
        others = [other.recipe for other in found if other is not family]
        said = "".join(f", {part}" for part in differences(family.recipe, others))
        members = {model for models in family.models.values() for model in models.values()}
        own = {file: result for file, result in results.items() if model_of(result) in members}
        tables += [
            table_of(part, task, family, own, said)
            for task in TASKS
            for part, models in family.models.items()
            if len(models) > 1 and any(result.task == task for result in own.values())
        ]
    if whole and not tables:
        nobody = Family({}, {part: {} for part in ABLATIONS})
        return [table_of(part, "davis2017", nobody, {}) for part in ABLATIONS]
    return tables


def families(results: Results) -> list[Family]:
    """The families of two models or more, by the recipes that they share."""
    found: dict[tuple[str, str, str], Family] = {}
    for result in results.values():
        recipe = recipe_of(result)
        if any(SETTING + part not in recipe for part in ABLATIONS):
            continue
        values = {part: str(recipe.pop(SETTING + part)) for part in ABLATIONS}
        model = model_of(result)
        key = (model.method, model.trunk, digest(recipe))
        family = found.setdefault(key, Family(recipe, {part: {} for part in ABLATIONS}))
        changed = [part for part in ABLATIONS if values[part] != DEFAULT[part]]
        for part in changed or ABLATIONS:  # the model of all defaults is one of every part
            if len(changed) <= 1:
                family.models[part][values[part]] = model
    return [f for f in found.values() if any(len(models) > 1 for models in f.models.values())]


def table_of(part: str, task: str, family: Family, results: Results, said: str = "") -> Table:
    """One part's values as rows; the others are compared with the default."""
    models, model = family.models[part], model_in(family)
    metrics = tuple(metric for metric in TASKS[task] if metric not in MORE_METRICS)
    named = {model: f"{part}={value}" for value, model in models.items()}
    of_part = {f: r for f, r in results.items() if r.task == task and model_of(r) in named}
    rows = with_differences(
        measured_rows(of_part, metrics, named), partial(default_row, f"{part}={DEFAULT[part]}")
    )
    measured = {row.variant for row in rows}
    values = dict.fromkeys((*ABLATIONS[part], *models))
    rows += [
        dashes(part, value, task, family, (Cell(),) * len(metrics))
        for value in values
        if f"{part}={value}" not in measured
    ]
    order = [f"{part}={value}" for value in values]
    rows.sort(key=lambda row: (order.index(row.variant), row.setting))
    title = f"Ablation of {part}, {TASK_NAMES[task]}: {model.name}, {model.trunk}{said}"
    return Table("ablations", task, title, metrics, tuple(rows))


def model_in(family: Family) -> Model:
    """Method and trunk of a family; the paper's for one that nobody has trained."""
    models = [model for of_part in family.models.values() for model in of_part.values()]
    return Model(*models[0][:2]) if models else Model("dino+selfpatch", "ViT-S/16")


def default_row(default: str, row: Row, rows: Sequence[Row]) -> Row | Difference | None:
    """The row of the default in the same setting."""
    if row.variant == default:
        return None
    alike = [other for other in rows if other.variant == default]
    for other in alike:
        if setting_of(one_of(other)) == setting_of(one_of(row)):
            return other
    return Difference(default, how="another setting" if alike else f"no {default}")


def dashes(part: str, value: str, task: str, family: Family, cells: tuple[Cell, ...]) -> Row:
    """The row of a value that nothing was measured for."""
    model = model_in(family)
    commands = [task_command(model.trunk, task)]
    if value not in family.models[part]:
        short = family.recipe.get("train_cfg.max_epochs", EPOCHS) == EPOCHS
        config, options = recipe_for(model)
        if short and model[:2] == ("dino+selfpatch", "ViT-S/16"):
            config = ABLATION
        changed = [] if value == DEFAULT[part] else [f"{SETTING}{part}={value}"]
        commands.insert(0, pretrain_command(config, [*options, *changed]))
    return Row(model, cells, f"{part}={value}", commands=tuple(commands))
