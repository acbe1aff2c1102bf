"""COCO's instances -> images, each with the coarse class of the thing at every pixel."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from selfpatch.data.coco_classes import COARSE_THINGS, THINGS, supercategories, thing_names
from selfpatch.data.segmented import UNLABELLED, SegmentedImages, upright_size
from selfpatch.errors import InputError

Json = dict[str, Any]


class Things(SegmentedImages):
    """The instances of a COCO file, drawn as the 12 coarse classes; all else does not count.

    Where instances overlap, the one that covers fewer pixels is on top: the cup, not the table.
    Crowds are not drawn.

    Args:
        file: COCO's ``instances_*.json``.
        folder: Its images.

    Raises:
        InputError: There is no such file, it is none of COCO's, or an image is missing.
    """

    def __init__(self, file: Path, folder: Path) -> None:
        self.file = file
        content = read_instances(file)
        try:
            images = {image["id"]: image for image in content["images"]}
            files = [folder / image["file_name"] for image in images.values()]
            self.sizes = [(image["height"], image["width"]) for image in images.values()]
            classes = coarse_classes(file, content["categories"])
            of_image: dict[int, list[tuple[int, Any]]] = {number: [] for number in images}
            for instance in content["annotations"]:
                if not instance.get("iscrowd"):
                    drawn = classes[instance["category_id"]], compact(instance["segmentation"])
                    of_image[instance["image_id"]].append(drawn)
        except (KeyError, TypeError, ValueError) as problem:
            raise InputError(
                f"{file} has entries unlike COCO's ({problem!r}); `selfpatch check-data coco` says"
                " which"
            ) from None
        if not files:
            raise InputError(f"{file} lists no image; fetch annotations_trainval2017 again")
        if absent := [path for path in files if not path.is_file()]:
            raise InputError(f"{file} lists {absent[0]}, which does not exist; fetch the images")
        super().__init__(files, COARSE_THINGS)
        self.instances = list(of_image.values())

    def check_size(self, index: int) -> None:
        """See that an image has the size that the file says."""
        (height, width), (own, other) = self.sizes[index], upright_size(self.files[index])
        if (height, width) != (own, other):
            raise InputError(
                f"{self.files[index]} is {other}x{own}, {self.file.name} says {width}x{height};"
                " fetch the images in their own size"
            )

    def labels(self, index: int) -> np.ndarray:
        """The class of the thing at each pixel, or :data:`UNLABELLED`: int64 (H, W)."""
        from pycocotools import mask as masks  # an extra brings it

        self.check_size(index)
        height, width = self.sizes[index]
        drawn = []
        for number, shape in self.instances[index]:
            try:
                drawn.append((number, run_lengths(shape, height, width)))
            except (TypeError, ValueError, KeyError, IndexError) as problem:
                raise InputError(
                    f"{self.file.name} has an instance of {self.files[index].name} without a whole"
                    f" mask ({problem}); `selfpatch check-data coco` says which"
                ) from None
        labels = np.full((height, width), UNLABELLED)
        for number, mask in sorted(drawn, key=lambda one: -int(masks.area(one[1]))):
            labels[masks.decode(mask) == 1] = number
        return labels


def coco_things(root: Path, split: str) -> Things:
    """COCO-Things: ``instances_{train,val}2017.json`` and their images."""
    part = "train2017" if split == "training" else "val2017"
    return Things(root / f"annotations/instances_{part}.json", root / part)


def read_instances(file: Path) -> Json:
    """What a COCO file holds.

    Raises:
        InputError: There is none, or it is not whole.
    """
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{file} does not exist; unpack annotations_trainval2017") from None
    except (ValueError, RecursionError) as problem:
        raise InputError(f"{file} is no whole JSON ({problem}); fetch it again") from None
    lists = [isinstance(content, dict) and content.get(key) for key in
             ("images", "annotations", "categories")]  # fmt: skip
    if not all(isinstance(found, list) for found in lists):
        raise InputError(f"{file} is no instances file; fetch annotations_trainval2017")
    return dict(content)


def coarse_classes(file: Path, categories: list[Json]) -> dict[int, int]:
    """Id of a category -> its coarse class.

    Raises:
        InputError: An id is another category's than in COCO.
    """
    names, above = thing_names(), supercategories(THINGS)
    for category in categories:
        if names.get(category["id"]) != category["name"]:
            raise InputError(
                f"{file} has the category {category['id']}, {category['name']}, which COCO has not;"
                " COCO-Things is made of COCO's own files"
            )
    return {number: COARSE_THINGS.index(above[name]) for number, name in names.items()}


def compact(shape: Any) -> Any:
    """Polygons as arrays, in a quarter of the memory of their lists; run lengths as they are."""
    return [np.array(part, np.float64) for part in shape] if isinstance(shape, list) else shape


def run_lengths(shape: Any, height: int, width: int) -> Json:
    """Polygons or run lengths -> COCO's compressed run lengths of one mask.

    Raises:
        ValueError: It is no mask of this size.
    """
    from pycocotools import mask as masks

    if isinstance(shape, list):
        if not shape or min(map(len, shape)) < 6:
            raise ValueError("a polygon has three points or more")
        merged: Json = masks.merge(masks.frPyObjects(shape, height, width))
        return merged
    if list(shape["size"]) != [height, width]:
        raise ValueError(f"it is a mask of {shape['size']}")
    packed: Json = (
        masks.frPyObjects(shape, height, width) if isinstance(shape["counts"], list) else shape
    )
    return packed
