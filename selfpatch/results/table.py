"""What a table is: rows of models, columns of metrics, and in each cell all that is known of it.

:mod:`selfpatch.results.rows` and :mod:`selfpatch.results.layouts` fill it,
:mod:`selfpatch.results.formats` writes it.
"""

from dataclasses import dataclass, field
from statistics import fmean

from selfpatch.results.file import Results
from selfpatch.results.models import Model
from selfpatch.results.probes import probe_task
from selfpatch.results.published import Published
from selfpatch.results.statistics import Difference, Values, deviation

TASK_NAMES = {
    "coco-mask-rcnn": "COCO, Mask R-CNN",
    "coco-cascade-mask-rcnn": "COCO, Cascade Mask R-CNN",
    "coco-vitdet": "COCO, ViTDet",
    "ade20k-semantic-fpn": "ADE20K, Semantic FPN",
    "ade20k-upernet": "ADE20K, UperNet",
    "ade20k-linear": "ADE20K, linear head",
    "davis2017": "DAVIS 2017",
}
"""Task -> its name as people read it."""


def task_title(task: str) -> str:
    """A task's name as people read it; that of a task of a user's own is as it is."""
    probe = probe_task(task)
    return probe.title if probe else TASK_NAMES.get(task, task)


METRIC_NAMES = {
    "AP-box": "AP box",
    "AP-mask": "AP mask",
    "J&F-Mean": "(J&F)m",
    "J-Mean": "Jm",
    "F-Mean": "Fm",
    "J-Recall": "Jr",
    "F-Recall": "Fr",
    "RMSE-cm": "RMSE, cm ↓",
    "AbsRel": "AbsRel, % ↓",
}
"""Metric -> the heading of its column, where that is another one."""

MORE_METRICS = ("mAcc", "aAcc", "J-Recall", "F-Recall")
"""Metrics that have a column only where a result has them."""


@dataclass(frozen=True)
class Cell:
    """One model in one metric. What was measured and what was published never share a cell.

    Attributes:
        values: Percent by seed, of every result that has the metric.
        difference: To the baseline, of a measured model that has one.
        published: The number that was published.
    """

    values: Values = field(default_factory=dict)
    difference: Difference | None = None
    published: Published | None = None

    @property
    def mean(self) -> float | None:
        """Mean over the seeds, in percent."""
        return fmean(self.values.values()) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over the seeds; None for fewer than two."""
        return deviation(self.values)


@dataclass(frozen=True)
class Row:
    """One model in one setting, or what was published for it, or what is missing.

    Attributes:
        model: Method and trunk.
        cells: One per metric of the table.
        variant: What tells the model from others of its method and trunk; mostly nothing.
        setting: What of data, protocol, reading or operators tells the results from others of the
            task; mostly nothing. Rows of two settings are not compared.
        results: The results behind the row, by their files.
        commands: What would make the row, if it is missing.
    """

    model: Model
    cells: tuple[Cell, ...]
    variant: str = ""
    setting: str = ""
    results: Results = field(default_factory=dict)
    commands: tuple[str, ...] = ()

    @property
    def is_published(self) -> bool:
        """Whether it holds published numbers, and nothing that was measured."""
        return any(cell.published for cell in self.cells)


@dataclass(frozen=True)
class Table:
    """The results of one task.

    Attributes:
        layout: Which of the paper's tables it belongs to, a key of
            :data:`selfpatch.results.layouts.LAYOUTS`; ``probes``, or ``own`` for a task of a
            user's own.
        task: The task's name in results files.
        title: Its name as people read it.
        metrics: A metric per column, by its name in results files.
        rows: Trunks together, a method and the same with SelfPatch together; published numbers
            below the measured ones of the same method and trunk, or last if there are none.
    """

    layout: str
    task: str
    title: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Tables:
    """All that was asked for.

    Attributes:
        tables: In the order of the paper.
        empty: Layouts that are left out, because nothing has been measured for them.
    """

    tables: tuple[Table, ...]
    empty: tuple[str, ...] = ()
