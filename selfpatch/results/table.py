"""Results files -> one table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from selfpatch.results.file import TASKS, Result
from selfpatch.results.published import PUBLISHED, PUBLISHED_SETTING, Published

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

    Results of different configs, data or settings stand in rows of their own: they are never
    subtracted from each other.
    """
    newest: dict[tuple[object, ...], Result] = {}
    results = list(results)
    for result in sorted(results, key=lambda r: r.created):
        newest[slot(result)] = result
    kept = list(newest.values())
    columns = backbone_columns(kept)
    rows = []
    for task, metrics in TASKS.items():
        ours = [result for result in kept if result.task == task]
        if not ours and not any((task, metric) in PUBLISHED for metric in metrics):
            continue
        settings = sorted({setting(result) for result in ours}) or [("", "", "")]
        for chosen in settings:
            found = {backbone_key(r): r.metrics for r in ours if setting(r) == chosen}
            name = TASK_NAMES[task] + distinction(chosen, settings)
            rows += [task_row(name, task, metric, found, columns) for metric in metrics]
    notes = [f"Published numbers belong to {PUBLISHED_SETTING}. They are no target for this table."]
    if len(results) > len(kept):
        left_out = len(results) - len(kept)
        notes.append(f"{left_out} older results of the same backbone and setting are left out.")
    origins = tuple(origin(r, columns) for r in sorted(kept, key=lambda r: order(r, columns)))
    return Table(tuple(columns.values()), tuple(rows), origins, tuple(notes))


def distinction(chosen: tuple[str, str, str], settings: list[tuple[str, str, str]]) -> str:
    """What of config, data and settings tells one row from the others of its task."""
    parts = [part for place, part in enumerate(chosen[:2]) if len({s[place] for s in settings}) > 1]
    own = chosen[2].split(", ")
    shared = set(own).intersection(*(s[2].split(", ") for s in settings))
    parts += [part for part in own if part not in shared]
    return f" ({', '.join(parts)})" if parts else ""


def setting(result: Result) -> tuple[str, str, str]:
    """What two results must share to be compared: config, data and settings."""
    return result.config, result.dataset, described(result.settings)


def slot(result: Result) -> tuple[object, ...]:
    """The place in the table that a result belongs to."""
    return result.task, setting(result), backbone_key(result)


def described(settings: dict[str, Any]) -> str:
    """``name=value`` of all settings, those in groups included."""
    parts = [
        described(value) if isinstance(value, dict) else f"{name}={value}"
        for name, value in sorted(settings.items())
    ]
    return ", ".join(part for part in parts if part)


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


def task_row(
    name: str,
    task: str,
    metric: str,
    found: dict[str, dict[str, float | None]],
    columns: dict[str, str],
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
    published = PUBLISHED.get((task, metric))
    return Row(name, metric, tuple(values.values()), difference, published)


def order(result: Result, columns: dict[str, str]) -> tuple[object, ...]:
    """Tasks in the order of the table, then backbones in the order of its columns."""
    return (
        list(TASKS).index(result.task),
        setting(result),
        list(columns).index(backbone_key(result)),
    )


def origin(result: Result, columns: dict[str, str]) -> tuple[str, ...]:
    """How a number was made, under :data:`ORIGIN_HEADER`."""
    return (
        TASK_NAMES[result.task],
        f"{columns[backbone_key(result)]} {result.backbone['fingerprint'][:12]}",
        result.config,
        result.dataset,
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
