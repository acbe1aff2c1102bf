"""Small folders in the layouts of published data sets, with maps made by hand."""

from pathlib import Path

import numpy as np
from PIL import Image

from selfpatch.data.coco_classes import stuff_names, thing_names

PALETTE = [value for number in range(256) for value in (number, 255 - number, number // 2)]


def save(path: Path, values: np.ndarray, palette: bool = False) -> None:
    """Save a map, and as ``path`` may be an image's, its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values.astype(np.uint8))
    if palette:
        image.putpalette(PALETTE)
    image.save(path)


def blank(path: Path, height: int = 5, width: int = 6) -> None:
    save(path, np.zeros((height, width, 3)))


def row(*values: int) -> np.ndarray:
    """A map of 5 equal rows."""
    return np.tile(np.array(values), (5, 1))


def draw_voc(root: Path) -> Path:
    """Two original training images, one that was labelled later, and one to validate on."""
    for name in ("2007_1", "2007_2", "2008_1", "2007_9"):
        blank(root / f"JPEGImages/{name}.jpg")
    for name in ("2007_1", "2007_2", "2007_9"):
        save(root / f"SegmentationClass/{name}.png", row(0, 255, 20, 1, 15, 7), palette=True)
    for name in ("2007_1", "2008_1"):
        save(root / f"SegmentationClassAug/{name}.png", row(0, 0, 20, 20, 15, 7))
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_1\n2007_2\n")
    (lists / "val.txt").write_text("2007_9\n")
    return root


def draw_cityscapes(root: Path) -> Path:
    """One image of a training city, and one of a validation city, with all 34 ids."""
    ids = np.arange(35).reshape(5, 7)
    ids[ids == 34] = 255
    for part, city in (("train", "aachen"), ("val", "lindau")):
        name = f"{part}/{city}/{city}_000000_000019"
        blank(root / f"leftImg8bit/{name}_leftImg8bit.png", 5, 7)
        save(root / f"gtFine/{name}_gtFine_labelIds.png", ids)
    return root


def draw_coco_stuff(root: Path) -> Path:
    """An image of each split, whose map holds every value that COCO-Stuff's maps hold."""
    values = [number - 1 for number in thing_names() | stuff_names()] + [255] * 4
    for part in ("train2017", "val2017"):
        blank(root / f"{part}/000000000009.jpg", 5, 35)
        save(
            root / f"stuffthingmaps_trainval2017/{part}/000000000009.png",
            np.array(values).reshape(5, 35),
        )
    return root


def draw_davis(root: Path) -> Path:
    """Two sequences to learn from, one to test on; masks of two objects, and void."""
    for sequence in ("bear", "bike", "dog"):
        for frame in ("00000", "00001"):
            blank(root / f"JPEGImages/480p/{sequence}/{frame}.jpg")
            save(
                root / f"Annotations/480p/{sequence}/{frame}.png",
                row(0, 1, 2, 255, 254, 0),
                palette=True,
            )
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/train.txt").write_text("bike\nbear\n")
    (root / "ImageSets/2017/val.txt").write_text("dog\n")
    return root
