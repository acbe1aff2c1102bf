"""Annotations -> images, each with the boxes of the objects in it: COCO's, PASCAL VOC's, masks."""

import json
import os
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from selfpatch.data.images import read_image, read_stored, samples, size_of
from selfpatch.data.segmented import VOID, pairs_of, upright_size
from selfpatch.errors import InputError

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, the last two beyond the box."""

UNLIKE = (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError)
"""What reading annotations of another form comes upon."""


class BoxedImages:
    """Images with one box or more each.

    Args:
        boxes: File of an image -> its boxes.
    """

    def __init__(self, boxes: dict[Path, list[Box]]) -> None:
        self.files = list(boxes)
        self.boxes = list(boxes.values())

    def __len__(self) -> int:
        return len(self.files)

    def names(self) -> list[str]:
        """Names of the images, without the folder that they have in common."""
        root = os.path.commonpath([file.parent for file in self.files])
        return [file.relative_to(root).as_posix() for file in self.files]

    def image(self, number: int) -> Image.Image:
        """An image as RGB."""
        return read_image(self.files[number])


def some(boxes: dict[Path, list[Box]], source: Path) -> BoxedImages:
    """The images that have a box.

    Raises:
        InputError: There is none.
    """
    kept = {file: own for file, own in boxes.items() if own}
    if not kept:
        raise InputError(f"{source} has no image with an object; give the annotations of some")
    return BoxedImages(kept)


def coco(file: Path, images: Path) -> BoxedImages:
    """Images of a COCO instances file that have objects which are no crowds.

    Sides are rounded to whole pixels, as LOST does.

    Args:
        file: The JSON.
        images: Folder of the images.

    Raises:
        InputError: The file is missing or unlike COCO's, or no image has an object.
    """
    try:
        content = json.loads(file.read_bytes())
        found: dict[int, list[Box]] = {image["id"]: [] for image in content["images"]}
        for instance in content["annotations"]:
            if not instance.get("iscrowd"):
                x, y, width, height = instance["bbox"]
                box = (round(x), round(y), round(x + width), round(y + height))
                found[instance["image_id"]].append(box)
        boxes = {images / image["file_name"]: found[image["id"]] for image in content["images"]}
    except OSError as problem:
        raise InputError(f"{file} cannot be read ({problem.strerror}); give a COCO JSON") from None
    except UNLIKE as problem:
        raise InputError(
            f"{file} is no COCO instances file ({problem!r}); fetch it again"
        ) from None
    return some(boxes, file)


def voc(root: Path, split: str = "trainval") -> BoxedImages:
    """Images of a year of PASCAL VOC: ``Annotations``, ``ImageSets/Main`` and ``JPEGImages``.

    All objects count, difficult and truncated ones, too: so do those of LOST's and TokenCut's
    published numbers, whose ``--no_hard`` leaves them out.

    Raises:
        InputError: A file is missing, or unlike VOC's.
    """
    listed = root / "ImageSets" / "Main" / f"{split}.txt"
    if not listed.is_file():
        raise InputError(
            f"{listed} does not exist; give the folder of one year, such as VOCdevkit/VOC2007"
        )
    boxes = {}
    for name in listed.read_text(errors="replace").split():
        file = root / "Annotations" / f"{name}.xml"
        try:
            objects = ElementTree.parse(file).getroot().findall("object")
            boxes[root / "JPEGImages" / f"{name}.jpg"] = [voc_box(one) for one in objects]
        except (OSError, ElementTree.ParseError, *UNLIKE) as problem:
            raise InputError(
                f"{file} is no annotation of VOC ({problem}); unpack it again"
            ) from None
    return some(boxes, listed)


def voc_box(annotated: ElementTree.Element) -> Box:
    """The box of an object; its first pixel is number 1 in the file, and its last one within it.

    Raises:
        ValueError: It has no whole box.
    """
    texts = [annotated.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
    if None in texts:
        raise ValueError("an object has no bndbox")
    # A few of 2012 are no whole numbers.
    left, top, right, bottom = (int(float(text or "")) for text in texts)
    return left - 1, top - 1, right, bottom


def masked(masks: Path, images: Path) -> BoxedImages:
    """Images and masks of the same names in two folders, as DAVIS has them, subfolders included.

    Raises:
        InputError: One has no partner, a mask is no map of indices or has not its image's size, or
            there is no object.
    """
    boxes = {}
    for image, mask in pairs_of(images, masks):
        boxes[image] = mask_boxes(mask)
        sizes = [f"{w}x{h}" for h, w in (size_of(mask), upright_size(image))]
        if sizes[0] != sizes[1]:
            raise InputError(
                f"{mask} is {sizes[0]}, its image is {sizes[1]}; fetch both from one source"
            )
    return some(boxes, masks)


def mask_boxes(file: Path) -> list[Box]:
    """The box of each object of a mask: of each value but 0, and but 255 if it is not the only one.

    255 is DAVIS 2017's value for what does not count, and the foreground's in masks of two values.

    Raises:
        InputError: It is no map of indices.
    """
    content = file.read_bytes()
    stored = read_stored(BytesIO(content), str(file))
    if stored.mode not in ("L", "P", "1"):
        raise InputError(f"{file} is {stored.mode} and no map of object numbers; save it as one")
    values = samples(stored, content).astype(np.uint8)
    present = [value for value in np.unique(values) if value]
    objects = [value for value in present if value != VOID] or present
    boxes = []
    for value in objects:
        rows, columns = ((values == value).any(axis).nonzero()[0] for axis in (1, 0))
        boxes.append((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
    return boxes
