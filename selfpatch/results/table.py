"""Results files -> one table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from selfpatch.results.file import TASKS, Result
from selfpatch.results.published import PUBLISHED, PUBLISHED_SETTING, WHOLE, Published
from selfpatch.results.settings import UNKNOWN, Settings, difference, digest

NONE = "-"
COMPARED_METHODS = {"dino": "DINO", "dino+selfpatch": "SelfPatch"}
"""Methods that are compared, the baseline first; other methods get a column of their own."""

TASK_NAMES = {
    "coco-mask-rcnn": "COCO, Mask R-CNN",
    "coco-cascade-mask-rcnn": "COCO, Cascade Mask R-CNN",
    "coco-vitdet": "COCO, ViTDet",
    "ade20k-semantic-fpn": "ADE20K, Semantic FPN",
    "ade20k-upernet": "ADE20K, UperNet",
    "ade20k-linear": "ADE20K, linear head",
    "davis2017": "DAVIS 2017",
}


@dataclass(frozen=True)
class Row:
    """One metric of one task.

    Attributes:
        task: The task's name as people read it.
        metric: The metric's name.
        values: Percent per column of the table; None where there is no result.
        difference: SelfPatch minus DINO, where both were measured.
        published: What has been published for it.
    """

    task: str
    metric: str
    values: tuple[float | None, ...]
    difference: float | None
    published: Published | None


@dataclass(frozen=True)
class Table:
    """Measured numbers, the published ones beside them, and how each number was made.

    Attributes:
        columns: A heading per backbone.
        rows: A row per task and metric, in the order of :data:`selfpatch.results.file.TASKS`.
        origins: (task, backbone, config, data, device, versions, hours) per result.
        notes: Sentences below the table.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    origins: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    @property
    def header(self) -> tuple[str, ...]:
        """The headings of :meth:`cells`."""
        published = tuple(f"{name}, published" for name in COMPARED_METHODS.values())
        return ("task", "metric", *self.columns, "difference", *published)

    def cells(self) -> list[tuple[str, ...]]:
        """Every row as text."""
        return [
            (
                row.task,
                row.metric,
                *(number(value) for value in row.values),
                number(row.difference, signed=True),
                *published_cells(row.published),
            )
            for row in self.rows
        ]


ORIGIN_HEADER = ("task", "backbone", "config", "data", "settings", "device", "versions", "hours")


def build_table(results: Iterable[Result]) -> Table:
    """Arrange results; of several for the same backbone and the same setting the newest counts.

    Results on different data or with different settings stand in rows of their own, which name what
    differs: they are never subtracted from each other.
    """
    newest: dict[tuple[object, ...], Result] = {}
    results = list(results)
    for result in sorted(results, key=lambda r: r.created):
        newest[slot(result)] = result
    kept = list(newest.values())
    columns = backbone_columns(kept)
    rows = []
    for task in tasks_of(kept):
        groups: dict[tuple[str, ...], list[Result]] = {}
        for result in sorted((r for r in kept if r.task == task), key=setting):
            groups.setdefault(setting(result), []).append(result)
        if not groups:
            rows += task_rows(task, [], [], columns)
        for group in groups.values():
            others = [other[0] for other in groups.values() if other is not group]
            rows += task_rows(task, group, others, columns)
    notes = []
    if any(row.published for row in rows):
        notes.append(
            f"Published numbers belong to {PUBLISHED_SETTING}. They are no target for this table."
        )
    if len(results) > len(kept):
        left_out = len(results) - len(kept)
        notes.append(f"{left_out} older results of the same backbone and setting are left out.")
    origins = tuple(origin(r, columns) for r in sorted(kept, key=lambda r: order(r, columns)))
    return Table(tuple(columns.values()), tuple(rows), origins, tuple(notes))


def tasks_of(results: Sequence[Result]) -> list[str]:
    """Tasks that get rows: known ones with results or published numbers, then those of users."""
    found = {result.task for result in results}
    known = [t for t, metrics in TASKS.items() if t in found or (t, metrics[0]) in PUBLISHED]
    return known + sorted(found - set(TASKS))


def task_rows(
    task: str, group: Sequence[Result], others: Sequence[Result], columns: dict[str, str]
) -> list[Row]:
    """The rows of a task for results of one setting; ``others`` have each another one."""
    name = TASK_NAMES.get(task, task)
    found = {backbone_key(result): result.metrics for result in group}
    whole = True
    if group:
        name += distinction(group[0], others)
        whole = not share(group[0])
    metrics = TASKS.get(task) or tuple(dict.fromkeys(m for r in group for m in r.metrics))
    return [
        metric_row(name, metric, found, columns, PUBLISHED.get((task, metric)) if whole else None)
        for metric in metrics
    ]


def share(result: Result) -> str:
    """``2 of 30 sequences`` where a result is one of part of a data set; else nothing."""
    whole = WHOLE.get(result.task) or WHOLE.get(result.task.split("-")[0])
    count, unit = result.dataset["count"], result.dataset["unit"]
    return "" if whole in (None, count) else f"{count} of {whole} {unit}"


def distinction(own: Result, others: Sequence[Result]) -> str:
    """What of data and settings tells one row from the others of its task."""
    parts = [share(own)] if share(own) else []
    if any(other.dataset["names"] != own.dataset["names"] for other in others) and not parts:
        parts.append(f"data {own.dataset['path']}")
    if training_unknown(own):
        parts.append("training unknown")
    parts += difference(own.settings, [other.settings for other in others])
    return f" ({', '.join(parts)})" if parts else ""


def setting(result: Result) -> tuple[str, str, str]:
    """What two results must share to be compared: names of the data, and all settings.

    Where the training is not known, nothing is known to be shared: such a result stands alone.
    """
    alone = backbone_key(result) if training_unknown(result) else ""
    return result.dataset["names"], digest(result.settings), alone


def training_unknown(result: Result) -> bool:
    """Whether nobody can say how the tested model was trained."""
    return result.settings.get("training") == UNKNOWN


def slot(result: Result) -> tuple[object, ...]:
    """The place in the table that a result belongs to."""
    return result.task, setting(result), backbone_key(result)


def described(settings: Settings) -> str:
    """All settings where they are few, else their digest: the results file has them all."""
    if len(settings) > 12:
        return f"setting {digest(settings)[:8]}, {len(settings)} values in the results file"
    return ", ".join(f"{name}={value}" for name, value in sorted(settings.items()))


def backbone_key(result: Result) -> str:
    """What tells one backbone from another."""
    return f"{result.backbone['method']} {result.backbone['fingerprint']}"


def method_of(key: str) -> str:
    """The method in a backbone's key."""
    return key.split(" ")[0]


def backbone_columns(results: Sequence[Result]) -> dict[str, str]:
    """Backbone -> heading; DINO and SelfPatch come first and are always there."""
    keys = sorted({backbone_key(result) for result in results})
    by_method: dict[str, list[str]] = {method: [] for method in COMPARED_METHODS}
    for key in keys:
        by_method.setdefault(method_of(key), []).append(key)
    columns = {}
    for method, found in by_method.items():
        name = COMPARED_METHODS.get(method, method)
        for key in found or [method]:
            short = key.rsplit(" ", 1)[-1][:8]
            columns[key] = name if len(found) < 2 else f"{name} {short}"
    return columns


def metric_row(
    name: str,
    metric: str,
    found: dict[str, dict[str, float | None]],
    columns: dict[str, str],
    published: Published | None,
) -> Row:
    """One row; the difference is left out where it is not clear between which two backbones."""
    values = {key: found.get(key, {}).get(metric) for key in columns}
    pair = [
        [
            value
            for key, value in values.items()
            if key.split(" ")[0] == method and value is not None
        ]
        for method in COMPARED_METHODS
    ]
    difference = None
    if [len(side) for side in pair] == [1, 1]:
        difference = pair[1][0] - pair[0][0]
    return Row(name, metric, tuple(values.values()), difference, published)


def order(result: Result, columns: dict[str, str]) -> tuple[object, ...]:
    """Tasks in the order of the table, then backbones in the order of its columns."""
    return (
        (*TASKS, result.task).index(result.task),
        setting(result),
        list(columns).index(backbone_key(result)),
    )


def origin(result: Result, columns: dict[str, str]) -> tuple[str, ...]:
    """How a number was made, under :data:`ORIGIN_HEADER`."""
    return (
        TASK_NAMES.get(result.task, result.task),
        f"{columns[backbone_key(result)]} {result.backbone['fingerprint'][:12]}",
        result.config,
        f"{result.dataset['path']}, {result.dataset['count']} {result.dataset['unit']}",
        described(result.settings) or NONE,
        result.device,
        version_list(result.versions),
        f"{result.hours:.2f}",
    )


def version_list(versions: dict[str, str]) -> str:
    """``torch 2.11.0, mmcv (onedl-mmcv) 2.3.6``: the distribution where its name is another one."""
    parts = []
    for name, described_version in versions.items():
        *distribution, version = described_version.split(" ")
        other = f" ({distribution[0]})" if distribution and distribution[0] != name else ""
        parts.append(f"{name}{other} {version}")
    return ", ".join(parts)


def number(value: float | None, signed: bool = False) -> str:
    """Percent with two decimals, or a dash."""
    if value is None:
        return NONE
    return f"{value:+.2f}" if signed else f"{value:.2f}"


def published_cells(published: Published | None) -> tuple[str, str]:
    """The published pair as text, with as many digits as were published."""
    if published is None:
        return NONE, NONE
    about = "about " if published.about else ""
    pair = (published.dino, published.selfpatch)
    first, second = (NONE if value is None else f"{about}{value:g}" for value in pair)
    return first, second
