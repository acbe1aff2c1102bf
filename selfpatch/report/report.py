"""Results files and what lies beside them -> one page of tables, curves and pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from selfpatch.report.curves import as_svg, draw_curves
from selfpatch.report.detection import detection_rows
from selfpatch.report.folders import Pretrained, find_pretrained
from selfpatch.report.look import Look, draw_look, inferno
from selfpatch.report.outcomes import Gallery, Outcome, outcomes_of
from selfpatch.report.pages import Row, drawing, reason_of, write_page
from selfpatch.report.seeing import Settings, look_at
from selfpatch.report.segmentation import segmentation_rows
from selfpatch.report.tracking import tracking_rows
from selfpatch.results.file import TASKS, Result, Results
from selfpatch.results.formats import clock
from selfpatch.results.grid import Grid, full_name, grid_of, legend, printable
from selfpatch.results.layouts import build_tables
from selfpatch.results.models import model_of
from selfpatch.results.origins import origins
from selfpatch.results.statistics import Seeds
from selfpatch.results.table import Table, Tables, task_title


@dataclass(frozen=True)
class Command:
    """A command that the results came from: what it does, as one would type it, and how long."""

    name: str
    typed: str
    seconds: float

    @property
    def clock(self) -> str:
        """The time it took."""
        return clock(self.seconds)


@dataclass(frozen=True)
class Introduction:
    """What stands above the tables.

    Attributes:
        title: The page's title.
        paragraphs: The first says what the page is about.
    """

    title: str
    paragraphs: Sequence[str] = ()


@dataclass(frozen=True)
class Sources:
    """What a report is made of.

    Attributes:
        results: What :func:`selfpatch.results.file.read_results` gives.
        folders: Where backbones and the logs of their runs are searched for.
        images: Images to look at with each backbone.
        commands: What the results came from, where that is known.
    """

    results: Results
    folders: Sequence[Path] = ()
    images: Sequence[Path] = ()
    commands: Sequence[Command] = ()


def write_report(
    path: Path,
    sources: Sources,
    introduction: Introduction | None = None,
    progress: Callable[[str], None] = lambda done: None,
) -> int:
    """Write the page, atomically, and return its bytes.

    A picture whose file is missing or broken leaves a sentence in its place.

    Raises:
        InputError: Two results are of one model, task, setting and seed.
    """
    tables = build_tables(sources.results)
    models, faults = find_pretrained(sources.folders)
    progress(f"{len(sources.results)} results, {len(models)} pretrained models")
    look, look_note = looked(models, sources.images, progress)
    introduction = introduction or introduced(sources.results, tables)
    progress("drawing what the runs left")
    return write_page(
        path,
        "report.html",
        title=introduction.title,
        paragraphs=introduction.paragraphs,
        tables=[shown(table) for table in tables.tables],
        legend=legend(tables),
        curves=curves(models),
        curve_notes=faults,
        look=look,
        look_note=look_note,
        inferno=inferno(),
        galleries=galleries(tables),
        origins=origins(tables),
        results=[origin(file, result) for file, result in sources.results.items()],
        commands=sources.commands,
    )


def introduced(results: Results, tables: Tables) -> Introduction:
    """How much was measured of what."""
    tasks = [task_title(task) for task in (*TASKS,) if task in of_results(results)]
    tasks += sorted(task_title(task) for task in of_results(results) - {*TASKS})
    models = {model_of(result) for result in results.values()}
    count = f"{number(len(results), 'result')} of {number(len(models), 'model')}"
    return Introduction("Backbones, measured", [f"{count}: {'; '.join(map(printable, tasks))}."])


def of_results(results: Results) -> set[str]:
    """The tasks that there are results of."""
    return {result.task for result in results.values()}


def number(count: int, what: str) -> str:
    """``1 model``, ``2 models``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Group:
    """Lines of a table that stay together, however it is sorted."""

    lines: list[tuple[str, ...]] = field(default_factory=list)


@dataclass(frozen=True)
class Shown:
    """A table as the page has it."""

    title: str
    grid: Grid
    groups: tuple[Group, ...]


def shown(table: Table) -> Shown:
    """A table, each row with what stands below it."""
    grid = grid_of(table)
    groups: list[Group] = []
    for line in grid.lines:
        if not line.is_below or not groups:
            groups.append(Group())
        groups[-1].lines.append(line.cells)
    return Shown(printable(table.title), grid, tuple(groups))


def curves(models: Sequence[Pretrained]) -> Row | None:
    """The curves of all runs that have a log; nothing, where none has."""
    logged = {model.title: list(model.logs.values()) for model in models if model.logs}
    if not logged:
        return None
    try:
        caption = f"Curves of {', '.join(logged)}"
        return Row("", (drawing(as_svg(draw_curves(logged)), caption),))
    except Exception as error:  # whatever a log holds, it costs the curves alone
        return Row("", note=reason_of(error))


def looked(
    models: Sequence[Pretrained], images: Sequence[Path], progress: Callable[[str], None]
) -> tuple[Look | None, str]:
    """What the first seed of each model sees; or why that cannot be shown."""
    files = {model.title: model.backbones[0] for model in models if model.backbones}
    if not images or not files:
        return None, "No backbone file was found to look with." if images else ""
    settings = Settings()
    try:
        found = look_at(list(files.values()), images, settings, list(files), progress)
        return draw_look(*found, settings), ""
    except Exception as error:  # whatever the files hold, they cost this section alone
        return None, reason_of(error)


@dataclass(frozen=True)
class Section:
    """Galleries of one kind: a heading, what is to be seen, and what is lacking."""

    title: str
    text: str
    galleries: tuple[Gallery, ...]
    note: str = ""


DETECTION = (
    "The first validation images with two to six instances, those that are not upright first. As"
    " many predictions of a model are drawn as there are true instances, the surest ones."
)
SEGMENTATION = "What the truth calls other is not painted, and does not count."
TRACKING = "The first frame's mask is given, the others are found by comparing patches."
LACKING = {
    "Detection": "No predictions lie beside the results; test once more with --cfg-options"
    " test_evaluator.outfile_prefix=WORK_DIR/predictions.",
    "Segmentation": "No maps lie beside the results; test once more with --cfg-options"
    " test_evaluator.output_dir=WORK_DIR/maps.",
    "Tracking": "No masks lie beside the results.",
}


def galleries(tables: Tables) -> list[Section]:
    """Detections, maps and videos of every task that can have some."""
    drawn: dict[str, list[Gallery]] = {}
    for table in tables.tables:
        if table.layout in ("ablations", "compatibility"):  # their results stand in others as well
            continue
        for outcomes in outcomes_of(table):
            kind, gallery = gallery_of(table, outcomes)
            if kind:
                drawn.setdefault(kind, []).extend([gallery] if gallery.rows else [])
    texts = {"Detection": DETECTION, "Segmentation": SEGMENTATION, "Tracking": TRACKING}
    return [
        Section(kind, text, tuple(drawn[kind]), "" if drawn[kind] else LACKING[kind])
        for kind, text in texts.items()
        if kind in drawn
    ]


def gallery_of(table: Table, outcomes: Sequence[Outcome]) -> tuple[str, Gallery]:
    """What the models left in a task, by the task; a user's own shows boxes if there are some."""
    title = printable(table.title)
    if table.task == "davis2017":
        return "Tracking", Gallery(title, tracking_rows(outcomes))
    if table.task.startswith("ade20k"):
        return "Segmentation", Gallery(title, *segmentation_rows(outcomes))
    rows = detection_rows(outcomes)
    return "Detection" if rows or table.task.startswith("coco") else "", Gallery(title, rows)


def origin(file: Path, result: Result) -> tuple[str, ...]:
    """Where one result comes from: a row of the page's list of results."""
    model = model_of(result)
    data = f"{result.dataset['path']}, {result.dataset['count']} {result.dataset['unit']}"
    cells = (
        full_name(model, ""),
        task_title(result.task),
        seeds((result.backbone["seed"], result.seed)),
        result.config,
        data,
        f"{result.hours:.2f}",
        result.device,
        result.created,
        str(file),
    )
    return tuple(map(printable, cells))


def seeds(of: Seeds) -> str:
    """Seed of the pretraining and of the task; a dash where there is none."""
    return " / ".join("-" if seed is None else str(seed) for seed in of)
