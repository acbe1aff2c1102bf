"""Results and pictures -> one HTML page that needs nothing beside it."""

import base64
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from selfpatch.atomic import atomic_write
from selfpatch.errors import InputError
from selfpatch.results import figures
from selfpatch.results.figures import DataSets, Picture, Run
from selfpatch.results.file import device_name
from selfpatch.results.formats import clock, to_html
from selfpatch.results.origins import origins, version_list
from selfpatch.results.table import Tables
from selfpatch.results.versions import installed_versions

STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 5rem; max-width: 66rem; background: #fff;
  color: #1d2228; font: 16px/1.55 "Source Sans 3", "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 3rem 0 .5rem; padding-top: 1rem; border-top: 1px solid #e3e6ea; }
p { margin: .4rem 0 .9rem; max-width: 46rem; }
.lead { color: #4d5661; }
.note, figcaption { color: #66707c; font-size: .86rem; line-height: 1.4; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
table.results { width: 100%; }
th { text-align: right; font-weight: 600; padding: .45rem .7rem; border-bottom: 2px solid #1d2228;
  vertical-align: bottom; }
td { text-align: right; padding: .38rem .7rem; border-bottom: 1px solid #e9ecef; }
th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; padding-left: 0; }
.results td:nth-last-child(3) { font-weight: 600; }
.results td:nth-last-child(-n+2), .results th:nth-last-child(-n+2) { color: #8a8f98; }
.row { display: grid; gap: .6rem; margin: .7rem 0; align-items: start; }
figure { margin: 0; }
figure img { display: block; width: 100%; border-radius: 3px; }
figcaption { margin-top: .2rem; }
code { font: .8rem/1.5 ui-monospace, Menlo, Consolas, monospace; }
pre { background: #f6f7f9; border-radius: 6px; padding: .9rem 1rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px;
  margin: 0 .35em 0 .9em; vertical-align: -.05em; }
"""


@dataclass(frozen=True)
class Made:
    """How the demo was run.

    Attributes:
        commands: Step's name, command line and seconds, in order.
        at_once: How many steps ran side by side.
        created: The date, as people read it.
    """

    commands: Sequence[tuple[str, str, float]]
    at_once: int
    created: str


def write_report(
    path: Path, data: DataSets, runs: Sequence[Run], tables: Tables, made: Made
) -> None:
    """Write the page, atomically. A picture whose file is missing or broken leaves a sentence."""
    sections = [
        introduction(data, runs, made),
        "<h2>Results</h2>" + results(tables),
        section("Pretraining", LOSS_TEXT, lambda: svg(figures.loss_curves(runs))),
        section("Attention", ATTENTION_TEXT, lambda: grid(figures.attention_rows(data, runs))),
        section("Detection", DETECTION_TEXT, lambda: grid(figures.detection_rows(data, runs))),
        section("Segmentation", SEGMENTATION_TEXT, lambda: segmentation(data, runs)),
        section("Tracking", TRACKING_TEXT, lambda: grid(figures.video_rows(data, runs))),
        "<h2>How each number was made</h2>" + provenance(tables, made),
    ]
    title = "SelfPatch demo"
    page = (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{title}</title>"
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style></head>"
        f"<body>{''.join(sections)}</body></html>\n"
    )
    with atomic_write(path, "w") as file:
        file.write(page)


def introduction(data: DataSets, runs: Sequence[Run], made: Made) -> str:
    """What this is, on which data and machine."""
    names = " and ".join(run.name for run in runs)
    total = clock(sum(seconds for _, _, seconds in made.commands))
    return (
        f"<h1>SelfPatch, from images to one table</h1><p class='lead'>{names}: pretrained with the"
        " same budget on the same images, then detection, segmentation and tracking with each."
        f"</p><p>Data: {html.escape(data.description)}. Machine: {html.escape(device_name())}."
        f" {made.created}. The {len(made.commands)} steps took {total}, {made.at_once} at a"
        " time.</p>"
        "<p>The budgets are minutes, not days. The numbers show that every part of the path works"
        " and is measured. They do not rank the methods: it is one run each, a difference can be"
        " chance.</p>"
    )


def results(tables: Tables) -> str:
    """The tables, in a frame that scrolls on a narrow screen."""
    return f"<div class='scroll'>{to_html(tables)}</div>"


def section(title: str, text: str, make: Callable[[], str]) -> str:
    """A heading, what is to be seen, and the pictures; or the reason why they are missing."""
    try:
        body = make()
    except (OSError, ValueError, KeyError, InputError) as error:
        body = f"<p class='note'>Not drawn: {html.escape(str(error))}</p>"
    return f"<h2>{title}</h2><p>{text}</p>{body or NOTHING}"


def segmentation(data: DataSets, runs: Sequence[Run]) -> str:
    """The maps and the names of the classes in them."""
    rows, colors = figures.segmentation_rows(data, runs)
    names = figures.ade20k_names()
    legend = "".join(
        f"<span class='swatch' style='background: rgb{color}'></span>{names[index]}"
        for index, color in colors.items()
    )
    return grid(rows) + f"<p class='note'>{legend}</p>"


def provenance(tables: Tables, made: Made) -> str:
    """Every number's origin, the versions, and the commands in order."""
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in origins(tables))
    versions = version_list(installed_versions())
    commands = "\n".join(
        f"# {name}: {clock(seconds)}\n{command}\n" for name, command, seconds in made.commands
    )
    return (
        "<p>Every number is read from a results file, which names its backbone by the SHA-256"
        " of weights and architecture.</p>"
        f"<ul class='note'>{lines}</ul><p class='note'>Versions: {html.escape(versions)}.</p>"
        "<p>The commands, each as you would type it, and the time it took:</p>"
        f"<pre><code>{html.escape(commands)}</code></pre>"
    )


def grid(rows: Sequence[Sequence[Picture]]) -> str:
    """Rows of captioned pictures."""
    columns = max((len(row) for row in rows), default=0)
    shape = f"grid-template-columns: repeat({columns}, minmax(0, 1fr))"
    return "".join(
        f"<div class='row' style='{shape}'>{''.join(figure(picture) for picture in row)}</div>"
        for row in rows
        if row
    )


def figure(picture: Picture) -> str:
    """One picture with its caption."""
    caption = html.escape(picture.caption)
    return (
        f"<figure><img alt='{caption}' src='{embedded(picture.image)}'>"
        f"<figcaption>{caption}</figcaption></figure>"
    )


def embedded(image: Image.Image, longest: int = 1400) -> str:
    """The image as a data URL, no side longer than ``longest`` pixels."""
    image = image.copy()
    image.thumbnail((longest, longest))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


def svg(text: str) -> str:
    """A drawing as an image."""
    data = base64.b64encode(text.encode()).decode()
    return f"<figure><img alt='' src='data:image/svg+xml;base64,{data}'></figure>"


NOTHING = "<p class='note'>Nothing was found to draw.</p>"
LOSS_TEXT = (
    "The image loss compares summaries of different views of an image; the patch loss, which only"
    " SelfPatch has, compares a patch with the summary of its most similar neighbours."
    " The two totals are sums of different terms: compare the shapes, not the heights. In a run as"
    " short as this the image loss rises towards the logarithm of the number of prototypes, because"
    " the centre takes away the agreement of an untrained network."
)
ATTENTION_TEXT = (
    "What the pretrained backbones do with an image they have not been trained on, before any"
    " fine-tuning. The red frame is the asking patch; brighter is more."
)
DETECTION_TEXT = (
    "Mask R-CNN on the first validation images (not upright) with two to six instances. As many"
    " detections are drawn as there are true instances, the surest ones; below a score of 0.05"
    " Mask R-CNN itself keeps none."
)
SEGMENTATION_TEXT = (
    "The first validation images with UperNet and with Semantic FPN. What ADE20K calls other is"
    " not painted, and does not count."
)
TRACKING_TEXT = (
    "Label propagation with the pretrained features: the first frame's mask is given, the others"
    " are found without any training on videos."
)
