"""What the runs left -> the report's pictures."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from selfpatch.backbones.file import load_backbone
from selfpatch.data.images import read_stored
from selfpatch.models.vit import VisionTransformer
from selfpatch.results.scalars import read_scalars
from selfpatch.visualize.attention import patch_attention, patch_similarity, top_share
from selfpatch.visualize.pictures import (
    Color,
    distinct_colors,
    draw_instances,
    heat,
    highlight,
    paint_labels,
    to_input,
    video_strip,
)

Json = dict[str, Any]
RUN_COLORS = ("#8a8f98", "#c8502d")


@dataclass(frozen=True)
class DataSets:
    """Where the four data sets lie, and what they are, in words."""

    description: str
    images: Path
    coco: Path
    ade20k: Path
    davis: Path


@dataclass(frozen=True)
class Run:
    """One of the two compared runs: its name, and the folder that holds all it made."""

    name: str
    folder: Path


@dataclass(frozen=True)
class Picture:
    """A picture and what is to be read under it."""

    image: Image.Image
    caption: str


def loss_curves(runs: Sequence[Run]) -> str:
    """Total, image and patch loss of every run over its steps, as SVG."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    panels = {"loss": "total loss", "cls_loss": "image loss", "patch_loss": "patch loss"}
    logs = [read_scalars(run.folder / "pretrain") for run in runs]
    figure = Figure(figsize=(10.5, 3.0), layout="constrained")
    FigureCanvasSVG(figure)
    for axis, (key, title) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for number, (run, log) in enumerate(zip(runs, logs, strict=True)):
            color = RUN_COLORS[number % len(RUN_COLORS)]
            points = [(line["step"], line[key]) for line in log if key in line]
            if points:
                axis.plot(*zip(*points, strict=True), color=color, lw=1.8, label=run.name)
        axis.set_title(title, fontsize=10, loc="left")
        axis.set_xlabel("step", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False, fontsize=8)
    text = io.StringIO()
    figure.savefig(text, format="svg")
    return text.getvalue()


def validation_scenes(data: DataSets, count: int) -> list[tuple[Json, list[Json]]]:
    """The first validation images, not upright, with two to six instances; and those instances."""
    described = json.loads((data.coco / "annotations" / "instances_val2017.json").read_text())
    chosen: list[tuple[Json, list[Json]]] = []
    for image in described["images"]:
        instances = [
            entry
            for entry in described["annotations"]
            if entry["image_id"] == image["id"] and not entry["iscrowd"]
        ]
        if 2 <= len(instances) <= 6 and image["width"] >= image["height"]:
            chosen.append((image, instances))
    return chosen[:count]


def attention_rows(data: DataSets, runs: Sequence[Run], count: int = 2) -> list[list[Picture]]:
    """A row per image and run: where a patch of the largest instance looks, what it resembles."""
    rows = []
    for image, instances in validation_scenes(data, count):
        picture = read_stored(data.coco / "val2017" / image["file_name"]).convert("RGB")
        largest = max(instances, key=lambda entry: entry["area"])
        mask = decode(largest["segmentation"], image)
        for run in runs:
            path = run.folder / "backbone.safetensors"
            if path.is_file():
                rows.append(attention_row(path, run.name, picture, mask))
    return rows


def attention_row(path: Path, name: str, picture: Image.Image, mask: np.ndarray) -> list[Picture]:
    """The asking patch, its attention, the tenth it attends to most, its similarity."""
    vit, _ = load_backbone(path)
    assert isinstance(vit, VisionTransformer), "the demo pretrains nothing else"
    scaled, tensor = to_input(picture, vit.patch_size, 20 * vit.patch_size)
    patch = central_patch(mask, vit.grid(tensor))
    attended = patch_attention(vit, tensor, patch)
    similar = patch_similarity(vit, tensor, patch)
    return [
        Picture(highlight(scaled, attended >= 0, patch), f"{name}: the asking patch"),
        Picture(heat(scaled, attended, patch), "its attention in the last block"),
        Picture(highlight(scaled, top_share(attended), patch), "the 10 % it attends to most"),
        Picture(heat(scaled, similar, patch), "cosine similarity of its token"),
    ]


def central_patch(mask: np.ndarray, grid: tuple[int, int]) -> tuple[int, int]:
    """The patch of a grid that lies deepest inside a mask (H, W)."""
    small = Image.fromarray(mask.astype(np.uint8) * 255).resize(grid[::-1], Image.Resampling.BOX)
    inside = np.pad(np.asarray(small) >= 128, 1)
    if not inside.any():  # the mask is thinner than a patch
        row, column = np.unravel_index(np.argmax(np.asarray(small)), grid)
        return int(row), int(column)
    places, outside = np.argwhere(inside), np.argwhere(~inside)
    distance = np.abs(places[:, None] - outside[None]).sum(axis=-1).min(axis=1)
    row, column = places[np.argmax(distance)] - 1
    return int(row), int(column)


def detection_rows(data: DataSets, runs: Sequence[Run], count: int = 3) -> list[list[Picture]]:
    """A row per image: the true instances, and as many of each run's surest ones."""
    annotations = json.loads((data.coco / "annotations" / "instances_val2017.json").read_text())
    names = {entry["id"]: entry["name"] for entry in annotations["categories"]}
    rows = []
    for image, truth in validation_scenes(data, count):
        picture = read_stored(data.coco / "val2017" / image["file_name"]).convert("RGB")
        row = [Picture(instances_picture(picture, truth, image, names), "ground truth")]
        for run in runs:
            path = run.folder / "coco-mask-rcnn" / "predictions.segm.json"
            if path.is_file():
                found = [e for e in json.loads(path.read_text()) if e["image_id"] == image["id"]]
                found = sorted(found, key=lambda entry: -entry["score"])[: len(truth)]
                row.append(Picture(instances_picture(picture, found, image, names), run.name))
        rows.append(row)
    return rows


def instances_picture(
    picture: Image.Image, entries: Sequence[Json], image: Json, names: dict[int, str]
) -> Image.Image:
    """Instances in COCO's form, drawn over their image; labelled with their score, if any."""
    labels = [
        names[entry["category_id"]] + (f" {entry['score']:.2f}" if "score" in entry else "")
        for entry in entries
    ]
    masks = [decode(entry["segmentation"], image) for entry in entries]
    return draw_instances(picture, [entry["bbox"] for entry in entries], labels, masks)


def decode(shape: Any, image: Json) -> np.ndarray:
    """COCO's polygons or run lengths -> a mask (H, W) of 0 and 1."""
    from pycocotools import mask as coco_mask

    height, width = image["height"], image["width"]
    if isinstance(shape, list):
        shape = coco_mask.merge(coco_mask.frPyObjects(shape, height, width))
    elif isinstance(shape["counts"], list):
        shape = coco_mask.frPyObjects(shape, height, width)
    return np.array(coco_mask.decode(shape))


def segmentation_rows(
    data: DataSets, runs: Sequence[Run], count: int = 2
) -> tuple[list[list[Picture]], dict[int, Color]]:
    """A row per task and image: the picture, the true classes and every run's.

    Returns:
        The rows, and the colour of every class in them. Where the truth is 0, which is other,
        nothing is painted.
    """
    pictures = sorted((data.ade20k / "images" / "validation").glob("*.jpg"))[:count]
    truth = data.ade20k / "annotations" / "validation"
    maps: list[list[tuple[str, np.ndarray]]] = []
    for task, name in (("ade20k-upernet", "UperNet"), ("ade20k-semantic-fpn", "Semantic FPN")):
        folders = {"ground truth": truth}
        folders |= {f"{name}, {run.name}": run.folder / task / "maps" for run in runs}
        for path in pictures:
            files = {what: folder / f"{path.stem}.png" for what, folder in folders.items()}
            found = {what: read_indices(file) for what, file in files.items() if file.is_file()}
            known = read_indices(truth / f"{path.stem}.png") > 0
            maps.append([(what, classes * known) for what, classes in found.items()])
    seen = sorted({int(k) for row in maps for _, classes in row for k in np.unique(classes)} - {0})
    colors = dict(zip(seen, distinct_colors(len(seen)), strict=True))
    rows = []
    for path, row in zip(pictures * 2, maps, strict=True):
        picture = read_stored(path).convert("RGB")
        painted = [Picture(paint_labels(picture, k, colors, 0.65), caption) for caption, k in row]
        rows.append([Picture(picture, "image"), *painted])
    return rows, colors


def ade20k_names() -> dict[int, str]:
    """ADE20K's name of every class id."""
    from mmseg.utils import ade_classes

    return dict(enumerate(ade_classes(), start=1))


def video_rows(data: DataSets, runs: Sequence[Run], frames: int = 5) -> list[list[Picture]]:
    """A row per video and run: frames at equal distances with the masks found; the truth first."""
    rows = []
    listed = (data.davis / "ImageSets" / "2017" / "val.txt").read_text().split()
    for sequence in listed[:2]:
        pictures = sorted((data.davis / "JPEGImages" / "480p" / sequence).glob("*.jpg"))
        chosen = [
            pictures[i] for i in np.linspace(0, len(pictures) - 1, frames).round().astype(int)
        ]
        folders = {"ground truth": data.davis / "Annotations" / "480p"}
        folders |= {run.name: run.folder / "davis2017" for run in runs}
        for name, folder in folders.items():
            masks = [folder / sequence / f"{path.stem}.png" for path in chosen]
            if all(mask.is_file() for mask in masks):
                drawn = video_strip(
                    [read_stored(path).convert("RGB") for path in chosen],
                    [read_indices(mask) for mask in masks],
                )
                rows.append([Picture(drawn, f"{sequence}, {name}")])
    return rows


def read_indices(path: Path) -> np.ndarray:
    """Read an indexed PNG as (H, W) uint8."""
    return np.asarray(read_stored(path))
