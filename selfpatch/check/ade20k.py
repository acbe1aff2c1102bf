"""ADE20K's folder -> findings: pairs of image and label map, and what the maps hold."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from selfpatch.check.findings import (
    Finding,
    Findings,
    counted,
    error,
    image_names,
    missing_folder,
    sample,
    size_of,
    some_of,
    undecodable,
)
from selfpatch.data.images import read_stored
from selfpatch.errors import InputError

CLASSES = 150
SPLITS = {"training": 20_210, "validation": 2_000}


def check_ade20k(root: Path) -> Findings:
    """The scene parsing challenge's 150 classes, as mmsegmentation's ``ADE20KDataset`` reads it."""
    for split, official in SPLITS.items():
        inner = (f"images/{split}", f"annotations/{split}")
        missing = [finding for name in inner if (finding := missing_folder(root, name))]
        yield from missing
        if not missing:
            yield from _split(root / inner[0], root / inner[1], split, official)


def _split(images: Path, maps: Path, split: str, official: int) -> Findings:
    image_of = {Path(name).stem: images / name for name in image_names(images)}
    map_of = {Path(name).stem: maps / name for name in image_names(maps)}
    if alone := image_of.keys() - map_of.keys():
        yield error(f"images without a map in {maps}: {some_of(alone)}; unpack the annotations")
    if alone := map_of.keys() - image_of.keys():
        yield error(f"maps without an image in {images}: {some_of(alone)}; unpack the images")
    if strange := [path.name for path in image_of.values() if path.suffix != ".jpg"]:
        yield error(f"{images} holds other files than .jpg, which mmseg skips: {some_of(strange)}")
    pairs = sorted(image_of.keys() & map_of.keys())
    if not pairs:
        yield error(f"{images} and {maps} share no pair; unpack the data set there (docs/data.md)")
        return
    yield counted(f"{split} pairs", len(pairs), official)
    yield from undecodable([image_of[stem] for stem in pairs])
    found: set[int] = set()
    for stem in sample(pairs):
        labels = _labels(map_of[stem])
        if isinstance(labels, Finding):
            yield labels
        elif labels.shape != size_of(image_of[stem]):
            yield error(
                f"{map_of[stem]} is {labels.shape[0]}x{labels.shape[1]}, its image is"
                f" {_shape(size_of(image_of[stem]))}; fetch both from one source"
            )
        else:
            found |= set(np.unique(labels).tolist())
    yield from _classes(found, maps)


def _labels(path: Path) -> np.ndarray | Finding:
    try:
        image = read_stored(path)
    except InputError as problem:
        return error(str(problem))
    if image.mode in ("LA", "PA"):
        return error(f"{path} has a channel for transparency beside its labels; save it without")
    if image.mode not in ("L", "P", "1", "I", "I;16"):
        return error(
            f"{path} is {image.mode}, so colours and no class numbers: that is the full ADE20K;"
            " fetch ADEChallengeData2016 instead"
        )
    return np.asarray(image).astype(np.int64)


def _classes(found: Iterable[int], maps: Path) -> Findings:
    found = set(found)
    if too_high := {str(label) for label in found if label > CLASSES}:
        yield error(
            f"{maps} holds labels over {CLASSES} ({some_of(too_high)}): not the challenge's"
            f" maps, where 0 is 'other' and 1 to {CLASSES} are classes; fetch those"
        )
    elif found == {0}:
        yield error(f"the maps of {maps} hold nothing but 0; fetch them again")


def _shape(size: tuple[int, int] | None) -> str:
    return f"{size[0]}x{size[1]}" if size else "unreadable"
