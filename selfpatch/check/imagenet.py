"""Image folder -> findings: classes, counts, left-over archives, a sample of images."""

import os
from pathlib import Path

from selfpatch.check.findings import (
    Findings,
    counted,
    error,
    image_names,
    note,
    sample,
    some_of,
    subfolders,
    undecodable,
)
from selfpatch.data.images import EXTENSIONS

CLASSES, TRAIN, VAL = 1_000, 1_281_167, 50_000


def check_imagenet(root: Path) -> Findings:
    """``root/train/CLASS/IMAGE`` and, for k-NN, ``root/val/CLASS/IMAGE``; or one folder of images.

    A folder without ``train`` is taken for the images themselves, with or without classes, as
    ``selfpatch pretrain --data`` takes it.
    """
    if not (root / "train").is_dir():
        yield note(f"{root} has no train, so it is checked as one folder of images")
        yield from _images(root, "images", official=0)
        return
    yield from _images(root / "train", "training images", TRAIN)
    if not (root / "val").is_dir():
        yield note(f"{root / 'val'} does not exist; pretraining does without, k-NN needs it")
        return
    yield from _images(root / "val", "validation images", VAL)
    train, val = set(subfolders(root / "train")), set(subfolders(root / "val"))
    if not val:
        yield error(
            f"the images of {root / 'val'} are in no class folders;"
            " sort them into val/CLASS/ (docs/data.md)"
        )
    elif val != train:
        yield error(f"train and val differ in classes: {some_of(val ^ train)}; complete both")
    if len(train) != CLASSES:
        yield note(f"{len(train)} classes; ImageNet-1k has {CLASSES:,}")


def _images(folder: Path, what: str, official: int) -> Findings:
    archives = [entry.name for entry in folder.iterdir() if entry.suffix in (".tar", ".zip", ".gz")]
    if archives:
        yield error(f"{folder} holds archives ({some_of(archives)}); unpack each into its folder")
    classes = subfolders(folder)
    counts = {name: count_images(folder / name) for name in classes}
    if empty := [name for name, count in counts.items() if not count]:
        yield error(f"class folders of {folder} without images: {some_of(empty)}; unpack them")
    loose = image_names(folder)
    total = sum(counts.values()) + len(loose)
    if not total:
        yield error(f"{folder} holds no image; unpack the data set there (docs/data.md)")
        return
    if classes and loose:
        yield note(f"{len(loose)} images lie in {folder} beside its class folders")
    yield counted(what, total, official) if official else note(f"{total:,} {what}")
    paths = [folder / name for name in sample(loose)]
    per_class = 1 if len(classes) > 20 else 5
    for name in sample(classes):
        paths += [folder / name / image for image in sample(image_names(folder / name), per_class)]
    yield from undecodable(paths)


def count_images(folder: Path) -> int:
    """Image files below ``folder``, without a look at any of them."""
    return sum(
        name.lower().endswith(EXTENSIONS)
        for _, _, names in os.walk(folder, followlinks=True)
        for name in names
    )
