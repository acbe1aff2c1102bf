"""Folders of VOC, Cityscapes and COCO-Stuff -> findings: what the segmentation probes read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from selfpatch.check.findings import (
    Finding,
    Findings,
    counted,
    error,
    missing_folder,
    note,
    sample,
    undecodable,
)
from selfpatch.data.segmented import UNLABELLED, SegmentedImages
from selfpatch.data.segmented_sets import cityscapes, coco_stuff, has_trainaug, voc
from selfpatch.errors import InputError


def check_voc(root: Path) -> Findings:
    """PASCAL VOC 2012, with the further training images where they are listed."""
    folders = ["JPEGImages", "SegmentationClass", "ImageSets/Segmentation"]
    further = has_trainaug(root)
    if missing := missing_folders(root, folders + ["SegmentationClassAug"] * further):
        yield from missing
        return
    if not further:
        yield note(
            f"{root / 'ImageSets/Segmentation'} has no trainaug.txt: probes learn from train.txt,"
            " published ones from 10,582 images (docs/data.md)"
        )
    yield from split_of(voc, root, "training", 10_582 if further else 1_464)
    yield from split_of(voc, root, "validation", 1_449)


def check_cityscapes(root: Path) -> Findings:
    """Cityscapes' images and fine annotations."""
    folders = [f"{kind}/{part}" for kind in ("leftImg8bit", "gtFine") for part in ("train", "val")]
    yield from both_splits(cityscapes, root, folders, 2_975, 500)


def check_coco_stuff(root: Path) -> Findings:
    """COCO 2017's images and COCO-Stuff's maps of things and stuff."""
    parts = ("train2017", "val2017")
    folders = [f"{kind}{part}" for kind in ("", "stuffthingmaps_trainval2017/") for part in parts]
    yield from both_splits(coco_stuff, root, folders, 118_287, 5_000)


def both_splits(
    read: Callable[[Path, str], SegmentedImages],
    root: Path,
    folders: list[str],
    training: int,
    validation: int,
) -> Findings:
    """What is wrong in the two splits of a data set, whose official sizes are given."""
    if missing := missing_folders(root, folders):
        yield from missing
        return
    yield from split_of(read, root, "training", training)
    yield from split_of(read, root, "validation", validation)


def missing_folders(root: Path, inner: list[str]) -> list[Finding]:
    """An error for each folder that is not there."""
    return [finding for name in inner if (finding := missing_folder(root, name))]


def split_of(
    read: Callable[[Path, str], SegmentedImages], root: Path, split: str, official: int
) -> Findings:
    """How much of a split there is, and what is wrong in a sample of it."""
    try:
        scenes = read(root, split)
    except InputError as problem:
        yield error(str(problem))
        return
    yield counted(f"{split} pairs", len(scenes), official)
    yield from undecodable(scenes.files)
    labelled = problems = 0
    for number in sample(range(len(scenes))):
        try:
            labelled += int(np.any(scenes.labels(number) != UNLABELLED))
        except InputError as problem:
            problems += 1
            yield error(str(problem))
    if not labelled and not problems:
        yield error(f"the {split} maps of {root} label no pixel; fetch them again")
