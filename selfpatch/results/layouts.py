"""Results -> the paper's tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from selfpatch.results.ablations import ablation_tables
from selfpatch.results.file import TASKS, Result, Results
from selfpatch.results.missing import commands_for
from selfpatch.results.models import PRETRAINED_HERE, Model, base_of, model_of, variants
from selfpatch.results.probes import probe_task
from selfpatch.results.published import PUBLISHED, published
from selfpatch.results.rows import measured_rows, share, with_differences, without_selfpatch
from selfpatch.results.table import MORE_METRICS, Cell, Row, Table, Tables, task_title

LAYOUTS = {
    "coco": "detection and instance segmentation on COCO, by detector",
    "ade20k": "semantic segmentation on ADE20K, by head",
    "davis": "label propagation on DAVIS 2017",
    "ablations": "the analyses of Sec. 5.1: neighbourhood, k, aggregation",
    "compatibility": "SelfPatch with MoBY, MoCo-v3, Swin and patches of 8 pixels",
}
"""Layout -> what it shows."""

IN_THE_PAPER = {
    "coco": ("coco-mask-rcnn",),
    "ade20k": ("ade20k-semantic-fpn", "ade20k-upernet"),
    "davis": ("davis2017",),
}
"""Tasks of a layout that stand in the paper; others have a table once somebody ran them."""

TRACKING = "davis2017"

BASELINES = (
    *(Model(m, "ResNet-50") for m in ("mocov2", "swav", "densecl", "detco", "resim")),
    *(Model(m, "ViT-S/16") for m in ("mocov3", "moby", "dino", "dino+selfpatch")),
)
"""The methods of the paper's tables."""

JOINED = tuple(
    Model(method, trunk)
    for base, trunk in (
        ("mocov3", "ViT-S/16"), ("moby", "ViT-S/16"), ("moby", "Swin-T"), ("dino", "ViT-S/8"),
    )
    for method in (base, f"{base}+selfpatch")
)  # fmt: skip
"""What the paper joins SelfPatch with, beside DINO's ViT-S/16."""


def build_tables(results: Results, layout: str = "all") -> Tables:
    """Arrange results.

    Args:
        results: What :func:`selfpatch.results.file.read_results` gives.
        layout: A key of :data:`LAYOUTS`: the whole table of the paper, dashes where nothing was
            measured. Or ``all``: what there are results for, tasks of a user's own included.

    Raises:
        InputError: Two results are of one model, task, setting and seed.
    """
    named = variants({model_of(result): result for result in results.values()})
    if layout != "all":
        return Tables(tuple(tables_of(layout, results, named, whole=True)))
    built = {name: tables_of(name, results, named, whole=False) for name in LAYOUTS}
    others = {result.task for result in results.values()} - {*TASKS}
    probes = {task: probe for task in others if (probe := probe_task(task))}
    own = [
        plain_table("probes" if task in probes else "own", task, results, named, whole=False)
        for task in (
            *sorted(probes, key=lambda task: probes[task].order),
            *sorted(others - {*probes}),
        )
    ]
    tables = [table for of_layout in (*built.values(), own) for table in of_layout]
    return Tables(tuple(tables), tuple(name for name, found in built.items() if not found))


def tables_of(
    layout: str, results: Results, named: Mapping[Model, str], whole: bool
) -> list[Table]:
    """The tables of one layout.

    Args:
        layout: A key of :data:`LAYOUTS`.
        results: All results.
        named: Their models, and what each is told by from others of its method and trunk.
        whole: Have tables and rows that nothing was measured for, too.
    """
    if layout == "ablations":
        return ablation_tables(results, whole)
    if layout == "compatibility":
        joined = {f: r for f, r in results.items() if is_joined(model_of(r))}
        found = {result.task for result in joined.values()}
        tasks = [task for task in TASKS if task in found] or [TRACKING] * whole
        if not whole and TRACKING in found:  # as in the paper; the rest would stand there twice
            tasks = [TRACKING]
        return [plain_table(layout, task, joined, named, whole) for task in tasks]
    found = {result.task for result in results.values()}
    tasks = [
        task
        for task in TASKS
        if task.startswith(layout) and (task in found or (whole and task in IN_THE_PAPER[layout]))
    ]
    return [plain_table(layout, task, results, named, whole) for task in tasks]


def is_joined(model: Model) -> bool:
    """Whether a model tells how well SelfPatch joins other methods, trunks and patch sizes."""
    base = base_of(model.method)
    other = base != "dino" or model.trunk.startswith("Swin") or model.trunk.endswith("/8")
    return base in PRETRAINED_HERE and other


def plain_table(
    layout: str, task: str, results: Results, named: Mapping[Model, str], whole: bool
) -> Table:
    """All that was measured and published in a task; what SelfPatch adds to each method."""
    of_task = {file: result for file, result in results.items() if result.task == task}
    fits: Callable[[Model], bool] = is_joined if layout == "compatibility" else lambda _: True
    printed = [model for model in models_published(task) if fits(model)]
    wanted: list[Model] = []
    if whole:
        wanted += JOINED if layout == "compatibility" else BASELINES
        wanted += [model for one in printed for model in (one, one.partner) if model]
    metrics = columns(task, of_task.values())
    rows = measured_rows(of_task, metrics, named)
    rows = with_differences(rows, without_selfpatch)
    rows += missing_rows(task, metrics, rows, wanted, {model[:2] for model in named})
    rows += [published_row(model, task, metrics) for model in printed]
    title = task_title(task)
    if layout == "compatibility":
        title = f"Compatibility, {title}"
    found = {row.model[:2] for row in rows if not row.is_published}
    rows.sort(key=lambda row: (row.model[:2] not in found, *place(row)))
    return Table(layout, task, title, metrics, tuple(rows))


def columns(task: str, results: Iterable[Result]) -> tuple[str, ...]:
    """The metrics that have a column."""
    measured = dict.fromkeys(
        metric for r in results for metric, value in r.metrics.items() if value is not None
    )
    of_task = TASKS.get(task) or tuple(dict.fromkeys(m for r in results for m in r.metrics))
    return tuple(m for m in of_task if m in measured or m not in MORE_METRICS)


def models_published(task: str) -> list[Model]:
    """Methods and trunks that numbers of a task were published for."""
    return list(dict.fromkeys(Model(n.method, n.trunk) for n in PUBLISHED if n.task == task))


def published_row(model: Model, task: str, metrics: Sequence[str]) -> Row:
    """The published numbers of a method and trunk."""
    numbers = published(model.method, model.trunk, task)
    return Row(model, tuple(Cell(published=numbers.get(metric)) for metric in metrics))


def missing_rows(
    task: str,
    metrics: Sequence[str],
    measured: Sequence[Row],
    wanted: Sequence[Model],
    backbones: set[tuple[str, str]],
) -> list[Row]:
    """Dashes for what is wanted and for partners of what was measured, each with its commands.

    A method's partner is the same with SelfPatch, or without.

    Args:
        task: The task.
        metrics: The columns.
        measured: The rows that there are.
        wanted: Methods and trunks that are to be measured on the whole data.
        backbones: Methods and trunks of which a backbone was tried in any task.
    """
    on_whole_data = {r.model[:2] for r in measured if not any(map(share, r.results.values()))}
    lacking = [model for model in wanted if model[:2] not in on_whole_data]
    found = {row.model[:2] for row in measured}
    partners = [row.model.partner for row in measured]
    lacking += [partner for partner in partners if partner and partner[:2] not in found]
    return [
        Row(
            model,
            (Cell(),) * len(metrics),
            commands=commands_for(model, task, model[:2] in backbones),
        )
        for model in dict.fromkeys(lacking)
    ]


def place(row: Row) -> tuple[Any, ...]:
    """Measured rows first, the whole data before parts of it; then dashes, then what is published.

    All of one method and trunk stand together.
    """
    *model, key = row.model.order
    kind = 0 if row.results else 2 if row.is_published else 1
    return (*model, kind, row.setting != "", row.setting, row.variant, key)
