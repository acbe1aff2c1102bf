"""COCO's folder -> findings: instances files, and whether they fit the images beside them."""

import json
import os
from pathlib import Path
from typing import Any

from selfpatch.check.findings import (
    Findings,
    counted,
    error,
    image_names,
    missing_folder,
    note,
    sample,
    size_of,
    some_of,
    undecodable,
)

CATEGORIES = 80
SPLITS = {"train2017": 118_287, "val2017": 5_000}
KEYS = ("images", "annotations", "categories")
Json = dict[str, Any]


def check_coco(root: Path) -> Findings:
    """Images and instances of train2017 and val2017, as mmdetection's ``CocoDataset`` reads it."""
    categories: dict[str, list[tuple[int, str]]] = {}
    for split, official in SPLITS.items():
        if missing := missing_folder(root, split):
            yield missing
            continue
        path = root / "annotations" / f"instances_{split}.json"
        if not path.is_file():
            yield error(f"{path} does not exist; unpack annotations_trainval2017 (docs/data.md)")
            continue
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as problem:
            yield error(f"{path} is no whole JSON ({problem}); fetch it again")
            continue
        if not isinstance(content, dict):
            yield error(f"{path} holds a {type(content).__name__} and no object; fetch it again")
            continue
        if lacking := [key for key in KEYS if not isinstance(content.get(key), list)]:
            yield error(f"{path} has no {', '.join(lacking)}; it is no instances file, fetch it")
            continue
        yield counted(f"images in {path.name}", len(content["images"]), official)
        try:
            yield from _images(root / split, path, content["images"])
            yield from _annotations(path, content)
            categories[path.name] = [(c["id"], c["name"]) for c in content["categories"]]
        except (KeyError, TypeError, ValueError) as problem:
            yield error(f"{path} has entries unlike COCO's ({problem!r}); fetch the file again")
    yield from _same_categories(categories)


def _same_categories(categories: dict[str, list[tuple[int, str]]]) -> Findings:
    """A model numbers its classes by the order in which the file that it is trained on has them."""
    if len(categories) == 2 and len({tuple(listed) for listed in categories.values()}) == 2:
        (one, first), (other, second) = categories.items()
        pairs = enumerate(zip(first, second, strict=False))
        place = next((number for number, (a, b) in pairs if a != b), None)
        differ = (
            f"number {place + 1} is {first[place]} in one and {second[place]} in the other"
            if place is not None
            else f"{len(first)} in one and {len(second)} in the other"
        )
        yield error(
            f"the categories of {one} and {other} differ: {differ}; a model's classes are numbered"
            " by their order, write both alike"
        )


def _images(folder: Path, path: Path, images: list[Json]) -> Findings:
    # file_name may hold subfolders, as the host reads it.
    below = (Path(parent).relative_to(folder) for parent, _, _ in os.walk(folder, followlinks=True))
    there = {(sub / name).as_posix() for sub in below for name in image_names(folder / sub)}
    listed = {image["file_name"] for image in images}
    if absent := listed - there:
        yield error(f"{path.name} lists images that {folder} lacks: {some_of(absent)}; fetch them")
    if extra := there - listed:
        yield note(f"{folder} holds {len(extra):,} images that {path.name} does not list")
    present = sample([image for image in images if image["file_name"] in there])
    yield from undecodable([folder / image["file_name"] for image in present])
    for image in present:
        size, stated = size_of(folder / image["file_name"]), (image["height"], image["width"])
        if size and size != stated:
            yield error(
                f"{folder / image['file_name']} is {size[0]}x{size[1]}, {path.name} says"
                f" {stated[0]}x{stated[1]}; fetch the images in their own size"
            )


def _annotations(path: Path, content: Json) -> Findings:
    categories = {category["id"] for category in content["categories"]}
    if len(categories) != CATEGORIES:
        yield note(
            f"{path.name} has {len(categories)} categories, COCO has {CATEGORIES}: set"
            " num_classes of the heads and metainfo of the data sets, or fetch COCO's file"
        )
    for key in ("id", "name"):
        if len({category[key] for category in content["categories"]}) < len(content["categories"]):
            yield error(f"{path.name}: two categories have the same {key}; give each its own")
    if len({image["id"] for image in content["images"]}) < len(content["images"]):
        yield error(f"{path.name}: two images have the same id; number them anew")
    images = {image["id"]: image for image in content["images"]}
    problems: dict[str, list[Any]] = {}
    for annotation in content["annotations"]:
        if problem := _problem(annotation, images, categories):
            problems.setdefault(problem, []).append(annotation["id"])
    for problem, ids in problems.items():
        yield error(
            f"{path.name}: {len(ids):,} instances {problem}, the first with id {ids[0]}; mend or"
            " fetch the file"
        )
    if times := len(content["annotations"]) - len({a["id"] for a in content["annotations"]}):
        yield error(f"{path.name}: {times:,} ids of instances occur twice; number them anew")
    yield note(f"{len(content['annotations']):,} instances in {path.name}")


def _problem(annotation: Json, images: dict[int, Json], categories: set[int]) -> str | None:
    """What is wrong with an instance, or None."""
    image = images.get(annotation["image_id"])
    if image is None:
        return "belong to an image that is not listed"
    if annotation["category_id"] not in categories:
        return "have a category that is not listed"
    if annotation["id"] == 0:
        return "have the id 0, which COCO's evaluation takes for no match"
    for key in ("iscrowd", "area"):
        if key not in annotation:
            return f"have no {key}, which mmdetection or COCO's evaluation reads"
    x, y, width, height = annotation["bbox"]
    # COCO's own boxes reach over the border by rounding, never by more than a pixel.
    if min(x, y) < -1 or x + width > image["width"] + 1 or y + height > image["height"] + 1:
        return "have a box that reaches beyond their image"
    shape = annotation.get("segmentation")
    if isinstance(shape, dict):
        if not shape.get("counts"):
            return "have an empty mask"
        fits = shape.get("size") == [image["height"], image["width"]]
        return None if fits else "have a mask of another size than their image"
    polygons_are_whole = isinstance(shape, list) and all(len(part) >= 6 for part in shape)
    return None if shape and polygons_are_whole else "have no mask"
