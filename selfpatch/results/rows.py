"""Results of one task -> a row per model and setting, with differences."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from selfpatch.errors import InputError
from selfpatch.results.file import Result, Results
from selfpatch.results.models import Model, base_of, model_of, nearest
from selfpatch.results.probes import SEGMENTATION, probe_task
from selfpatch.results.published import WHOLE
from selfpatch.results.settings import UNKNOWN, differences, digest
from selfpatch.results.statistics import Difference, Seeds, difference
from selfpatch.results.table import Cell, Row, task_title

OPERATORS = "mmcv operators"
"""What versions say of the operators that a host computed with."""


IMAGES = "names of the images"
"""What a backbone's settings say of the images that it was pretrained on."""

BUDGET = ("train_cfg.max_epochs", "total_batch_size")
"""Settings of a pretraining in which a method and its baseline are compared by name."""


class Setting(NamedTuple):
    """What two results must share to be averaged or subtracted, beside the trunk.

    Attributes:
        data: SHA-256 of the data's names: where they lie is all the same.
        settings: SHA-256 of all settings of training and test.
        operators: Whose operators mmcv had; nothing where no host was at work.
        alone: The backbone, where nobody knows how the tested model was trained.
    """

    data: str
    settings: str
    operators: str
    alone: str


def setting_of(result: Result) -> Setting:
    """The setting that a number was measured in."""
    return Setting(
        result.dataset["names"],
        digest(result.settings),
        operators(result),
        model_of(result).key if training_unknown(result) else "",
    )


def operators(result: Result) -> str:
    """``compiled`` or ``torchvision``; tracking uses none, even where some were loaded."""
    return "" if result.task == "davis2017" else result.versions.get(OPERATORS, "")


def training_unknown(result: Result) -> bool:
    """Whether nobody can say how the tested model was trained."""
    return result.settings.get("training") == UNKNOWN


def seeds_of(result: Result) -> Seeds:
    """What one result of a model differs from another in."""
    return result.backbone["seed"], result.seed


def measured_rows(
    results: Results, metrics: Sequence[str], variants: Mapping[Model, str]
) -> list[Row]:
    """A row per model and setting, in no order.

    Args:
        results: Results of one task.
        metrics: The columns.
        variants: What each model is told by, see :func:`selfpatch.results.models.variants`.

    Raises:
        InputError: Two results differ in nothing but their numbers.
    """
    groups: dict[tuple[Model, Setting], dict[Path, Result]] = {}
    for file, result in results.items():
        groups.setdefault((model_of(result), setting_of(result)), {})[file] = result
    rows = []
    for (model, setting), group in groups.items():
        refuse_equal_seeds(model, group)
        one = next(iter(group.values()))
        others = {
            other: next(iter(of_other.values()))
            for (own, other), of_other in groups.items()
            if own.trunk == model.trunk and other != setting
        }
        cells = tuple(cell_of(metric, group) for metric in metrics)
        said = ", ".join(distinction(one, others.values()))
        rows.append(Row(model, cells, variants.get(model, ""), said, group))
    return rows


def refuse_equal_seeds(model: Model, group: Results) -> None:
    """Raise InputError where two files hold results of one model, setting and seed."""
    first: dict[Seeds, Path] = {}
    for file, result in group.items():
        other = first.setdefault(seeds_of(result), file)
        if other != file:
            task = task_title(result.task)
            raise InputError(
                f"{other} and {file} are two results of one seed ({model.name}, {model.trunk},"
                f" {task}); leave out one of them"
            )


def cell_of(metric: str, group: Results) -> Cell:
    """The values of a metric, of those results that could compute it."""
    values = {seeds_of(result): result.metrics.get(metric) for result in group.values()}
    return Cell({seeds: value for seeds, value in values.items() if value is not None})


def share(result: Result) -> str:
    """``2 of 30 sequences`` where a result is one of part of a data set; else nothing."""
    probe = probe_task(result.task)
    named = WHOLE.get(result.task.split("-")[0])
    if probe:  # others have images of their own, or only those with an object
        named = WHOLE.get(probe.data.split("-")[0]) if probe.probe in SEGMENTATION else None
    whole = WHOLE.get(result.task) or named
    count, unit = result.dataset["count"], result.dataset["unit"]
    return "" if whole in (None, count) else f"{count} of {whole} {unit}"


def distinction(own: Result, others: Iterable[Result]) -> list[str]:
    """What of data and settings tells one row from others of its task and trunk."""
    others = list(others)
    parts = [share(own)] if share(own) else []
    if any(other.dataset["names"] != own.dataset["names"] for other in others) and not parts:
        parts.append(f"data {own.dataset['path']}")
    if training_unknown(own):
        parts.append("training unknown")
    parts += differences(own.settings, [other.settings for other in others])
    if any(operators(other) != operators(own) for other in others):
        parts.append(f"{OPERATORS}: {operators(own) or 'not stated'}")
    return parts


Baseline = Callable[[Row, Sequence[Row]], Row | Difference | None]
"""A row and all rows -> what is subtracted from it; the reason why it cannot be; or nothing."""


def with_differences(rows: Sequence[Row], baseline: Baseline) -> list[Row]:
    """The rows, and in each cell the difference to the baseline's cell."""
    found = []
    for row in rows:
        other = baseline(row, rows)
        if other is not None:
            cells = [minus(row, other, column) for column in range(len(row.cells))]
            row = replace(row, cells=tuple(cells))
        found.append(row)
    return found


def minus(own: Row, other: Row | Difference, column: int) -> Cell:
    """A cell with its difference to that of another row in the same column."""
    cell = own.cells[column]
    if not cell.values:
        return cell
    if isinstance(other, Difference):
        return replace(cell, difference=other)
    name = other.model.name
    more = other.variant or ", ".join(budget(one_of(other), one_of(own)))
    if more:
        name = more if name == own.model.name else f"{name} ({more})"
    values = other.cells[column].values
    said = difference(cell.values, values, name) if values else Difference(name, how="no value")
    return replace(cell, difference=said)


def without_selfpatch(row: Row, rows: Sequence[Row]) -> Row | Difference | None:
    """The row of the same method without SelfPatch, of the same trunk and setting."""
    base = base_of(row.model.method)
    if base == row.model.method or not row.results:
        return None
    name = Model(base, row.model.trunk).name
    alike = [other for other in rows if other.model[:2] == (base, row.model.trunk)]
    alike = [other for other in alike if other.results]
    own = one_of(row)
    fitting = [other for other in alike if setting_of(one_of(other)) == setting_of(own)]
    if not fitting:
        return Difference(name, how="another setting" if alike else f"no {name}")
    chosen = nearest(own, [one_of(other) for other in fitting])
    if chosen is None:
        return Difference(name, how=f"which {name}?")
    images = [result.backbone["settings"].get(IMAGES) for result in (own, chosen)]
    if None not in images and images[0] != images[1]:
        return Difference(name, how="pretrained on other images")
    return next(other for other in fitting if one_of(other) is chosen)


def budget(other: Result, own: Result) -> list[str]:
    """What another backbone's training took that this one's did not, where both are known."""
    taken = [
        {name: value for name, value in result.backbone["settings"].items() if name in BUDGET}
        for result in (other, own)
    ]
    return differences(taken[0], taken[1:]) if all(taken) else []


def one_of(row: Row) -> Result:
    """Any result of a row: all share what is asked of it."""
    return next(iter(row.results.values()))
