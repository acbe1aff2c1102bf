"""Folders of published data sets -> images with label maps: VOC, Cityscapes, COCO-Stuff, DAVIS.

Every function takes the data set's folder and a split, ``training`` or ``validation``.
"""

from collections.abc import Iterable
from pathlib import Path

from selfpatch.data.coco_classes import (
    COARSE_STUFF,
    COARSE_THINGS,
    STUFF,
    THINGS,
    stuff_names,
    supercategories,
    thing_names,
)
from selfpatch.data.segmented import (
    UNLABELLED,
    VOID,
    LabelMaps,
    SegmentedImages,
    numbered,
    pairs_of,
)
from selfpatch.errors import InputError

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip

CITYSCAPES_CLASSES = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17,
    "traffic light": 19, "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23,
    "person": 24, "rider": 25, "car": 26, "truck": 27, "bus": 28, "train": 31, "motorcycle": 32,
    "bicycle": 33,
}  # fmt: skip
"""The 19 classes that are evaluated -> their ids among Cityscapes' 34 (cityscapesScripts)."""

CITYSCAPES_IDS = 34


def voc(root: Path, split: str) -> SegmentedImages:
    """PASCAL VOC 2012: 21 classes, background among them; the borders of objects do not count.

    Training images are those of ``trainaug.txt`` where that list is there, else those of
    ``train.txt``. As in mmsegmentation, maps of ``train.txt`` and ``val.txt`` are the original
    ones, and the further ones (Hariharan et al., 2011) are those of ``SegmentationClassAug``.
    """
    name = "val" if split == "validation" else "trainaug" if has_trainaug(root) else "train"
    chosen = listed(root / f"ImageSets/Segmentation/{name}.txt")
    own = chosen if name != "trainaug" else listed(root / "ImageSets/Segmentation/train.txt")
    pairs = [
        (
            root / f"JPEGImages/{image}.jpg",
            root / f"SegmentationClass{'' if image in own else 'Aug'}/{image}.png",
        )
        for image in sorted(chosen)
    ]
    there(pairs, f"ImageSets/Segmentation/{name}.txt lists it")
    values = {**numbered(len(VOC_CLASSES)), VOID: UNLABELLED}
    return LabelMaps(pairs, VOC_CLASSES, values, "fetch the map of VOC 2012")


def has_trainaug(root: Path) -> bool:
    """Whether a VOC folder lists the further training images."""
    return (root / "ImageSets/Segmentation/trainaug.txt").exists()


def cityscapes(root: Path, split: str) -> SegmentedImages:
    """Cityscapes' fine annotations: 19 classes.

    Maps are ``_labelTrainIds.png``, which mmsegmentation reads, where these have been made, else
    ``_labelIds.png``; labels are the same.
    """
    part = "train" if split == "training" else "val"
    images = sorted((root / "leftImg8bit" / part).glob("*/*_leftImg8bit.png"))
    if not images:
        raise InputError(
            f"{root / 'leftImg8bit' / part} holds no CITY/*_leftImg8bit.png; unpack"
            " leftImg8bit_trainvaltest.zip there"
        )
    made = any((root / "gtFine" / part).glob("*/*_gtFine_labelTrainIds.png"))
    ending = "_gtFine_labelTrainIds.png" if made else "_gtFine_labelIds.png"
    pairs = [
        (
            image,
            root / "gtFine" / part / image.parent.name
            / image.name.replace("_leftImg8bit.png", ending),
        )
        for image in images
    ]  # fmt: skip
    there(pairs, "its image is there")
    ids = dict.fromkeys(range(CITYSCAPES_IDS), UNLABELLED)
    ids |= {number: place for place, number in enumerate(CITYSCAPES_CLASSES.values())}
    values = numbered(len(CITYSCAPES_CLASSES)) if made else ids
    return LabelMaps(
        pairs, list(CITYSCAPES_CLASSES), {**values, VOID: UNLABELLED}, "unpack gtFine again"
    )


def coco_stuff(root: Path, split: str, num_classes: int = 15) -> SegmentedImages:
    """COCO-Stuff: the maps of ``stuffthingmaps_trainval2017``, whose values are ids less 1.

    Args:
        root: Its folder.
        split: Which images.
        num_classes: 15: the coarse kinds of stuff, things do not count (Leopart, NeCo). 27: coarse
            things and stuff. 171: all of both (mmsegmentation's
            ``COCOStuffDataset``).

    Raises:
        InputError: There is another number of classes.
    """
    part = "train2017" if split == "training" else "val2017"
    pairs = pairs_of(root / part, root / "stuffthingmaps_trainval2017" / part)
    above = supercategories(THINGS) | supercategories(STUFF)
    named = thing_names() | stuff_names()
    names = {
        15: COARSE_STUFF,
        27: COARSE_THINGS + COARSE_STUFF,
        171: list(named.values()),
    }.get(num_classes)
    if names is None:
        raise InputError(f"COCO-Stuff has 15, 27 or 171 classes, not {num_classes}; give --classes")
    place = {name: number for number, name in enumerate(names)}
    values = {
        number - 1: place.get(name if num_classes == 171 else above[name], UNLABELLED)
        for number, name in named.items()
    }
    return LabelMaps(pairs, names, {**values, VOID: UNLABELLED}, "unpack stuffthingmaps again")


def davis(root: Path, split: str) -> SegmentedImages:
    """DAVIS's frames at 480p: background, and any object; splits are lists of sequences."""
    name = root / f"ImageSets/2017/{'train' if split == 'training' else 'val'}.txt"
    frames = []
    for sequence in sorted(listed(name, "sequences")):
        found = sorted((root / "JPEGImages/480p" / sequence).glob("*.jpg"))
        if not found:
            raise InputError(
                f"{name} lists {sequence}, but {root / 'JPEGImages/480p' / sequence} holds no"
                " frame; unpack DAVIS-2017-trainval-480p there, or take it out of the list"
            )
        frames += found
    masks = root / "Annotations/480p"
    pairs = [(frame, masks / frame.parent.name / f"{frame.stem}.png") for frame in frames]
    there(pairs, "its frame is there")
    values = {0: 0, **dict.fromkeys(range(1, VOID), 1), VOID: UNLABELLED}
    return LabelMaps(pairs, ["background", "object"], values, "fetch the mask again")


def listed(path: Path, what: str = "images") -> set[str]:
    """The names in a list of a data set, one to a line.

    Raises:
        InputError: There is no list, or nothing in it.
    """
    if not path.is_file():
        raise InputError(
            f"{path} does not exist; give the folder that has it, or write the {what} of the split"
            " into it, one to a line"
        )
    names = {line.strip() for line in path.read_text().splitlines()} - {""}
    if not names:
        raise InputError(f"{path} lists nothing; write the {what} of the split into it")
    return names


def there(pairs: Iterable[tuple[Path, Path]], reason: str) -> None:
    """See that all files exist.

    Raises:
        InputError: One does not; ``reason`` is why it should.
    """
    if missing := [path for pair in pairs for path in pair if not path.is_file()]:
        more = f" (and {len(missing) - 1:,} more)" * (len(missing) > 1)
        raise InputError(
            f"{missing[0]}{more} does not exist, but {reason}; unpack the data set again"
        )
