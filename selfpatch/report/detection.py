"""Predicted boxes and masks in COCO's form -> drawn beside the true ones."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from selfpatch.data.images import read_stored
from selfpatch.report.outcomes import Json, Outcome
from selfpatch.report.pages import Picture, Row, photo_or_note, row_or_note
from selfpatch.visualize.pictures import draw_instances

ANNOTATIONS = "annotations/instances_val2017.json"
IMAGES = "val2017"
LARGEST = 2**30
"""Bytes of a file of predictions that is still read."""


def predictions_in(folder: Path) -> Path | None:
    """What mmdetection's ``outfile_prefix`` leaves: masks, or boxes alone."""
    for pattern in ("*.segm.json", "*.bbox.json"):
        for path in sorted(folder.glob(pattern)):
            return path
    return None


def detection_rows(outcomes: Sequence[Outcome], count: int = 3) -> tuple[Row, ...]:
    """A row per image: the true instances, and as many of each model's surest ones.

    Nothing, where no model has left predictions.
    """
    files = {o.title: path for o in outcomes if (path := predictions_in(o.folder))}
    if not files:
        return ()
    data = next((o.data for o in outcomes if o.data.is_dir()), outcomes[0].data)
    try:
        truth = json.loads((data / ANNOTATIONS).read_text())
        names = {entry["id"]: str(entry["name"]) for entry in truth["categories"]}
        scenes = chosen_scenes(truth, count)
        wanted = {image["id"] for image, _ in scenes}
    except Exception as error:  # JSON of any shape
        reason = (
            f"Not drawn: {data / ANNOTATIONS} cannot be used ({type(error).__name__}: {error})."
        )
        return (Row("", note=reason),)
    found = {title: read_predictions(path, wanted) for title, path in files.items()}
    return tuple(
        row_or_note(str(image["file_name"]), partial(scene, data, image, instances, found, names))
        for image, instances in scenes
    )


def chosen_scenes(truth: Json, count: int) -> list[tuple[Json, list[Json]]]:
    """The first images, with their instances; those with two to six that are not upright first."""
    instances: dict[Any, list[Json]] = {}
    for entry in truth["annotations"]:
        if not entry.get("iscrowd"):
            instances.setdefault(entry["image_id"], []).append(entry)
    scenes = [(image, instances.get(image["id"], [])) for image in truth["images"]]

    def is_less_fit(scene: tuple[Json, list[Json]]) -> tuple[bool, bool]:
        image, inside = scene
        return not 2 <= len(inside) <= 6, image["width"] < image["height"]

    return sorted(scenes, key=is_less_fit)[:count]


def read_predictions(path: Path, images: set[Any]) -> list[Json] | str:
    """The predictions for some images, the surest first; or a sentence that says what is wrong."""
    try:
        if path.stat().st_size > LARGEST:
            return f"{path} is larger than a gigabyte"
        entries = [entry for entry in json.loads(path.read_text()) if entry["image_id"] in images]
        return sorted(entries, key=lambda entry: -entry["score"])
    except Exception as error:  # JSON of any shape
        return f"{path} holds no predictions ({type(error).__name__}: {error})"


def scene(
    data: Path,
    image: Json,
    truth: Sequence[Json],
    found: dict[str, list[Json] | str],
    names: dict[Any, str],
) -> list[Picture]:
    """One image with its true instances, and with those of each model."""
    picture = read_stored(data / IMAGES / image["file_name"]).convert("RGB")

    def draw(entries: Sequence[Json]) -> Image.Image:
        return instances_picture(picture, entries, image, names)

    drawn = [photo_or_note("ground truth", partial(draw, truth))]
    for title, entries in found.items():
        if isinstance(entries, str):
            drawn.append(Picture("", title, note=f"Not drawn: {entries}."))
            continue
        own = [entry for entry in entries if entry["image_id"] == image["id"]][: len(truth)]
        caption = title if own or not truth else f"{title}: nothing was found"
        drawn.append(photo_or_note(caption, partial(draw, own)))
    return drawn


def instances_picture(
    picture: Image.Image, entries: Sequence[Json], image: Json, names: dict[Any, str]
) -> Image.Image:
    """Instances in COCO's form, drawn over their image; labelled with their score, if any."""
    labels = [
        names[entry["category_id"]] + (f" {entry['score']:.2f}" if "score" in entry else "")
        for entry in entries
    ]
    masks = [decode(entry.get("segmentation"), image) for entry in entries]
    return draw_instances(picture, [entry["bbox"] for entry in entries], labels, masks)


def decode(shape: Any, image: Json) -> np.ndarray:
    """COCO's polygons or run lengths -> a mask (H, W) of 0 and 1; empty for a box alone."""
    from pycocotools import mask as coco_mask

    height, width = image["height"], image["width"]
    if not shape:
        return np.zeros((height, width), np.uint8)
    if isinstance(shape, list):
        shape = coco_mask.merge(coco_mask.frPyObjects(shape, height, width))
    elif isinstance(shape["counts"], list):
        shape = coco_mask.frPyObjects(shape, height, width)
    return np.array(coco_mask.decode(shape))
