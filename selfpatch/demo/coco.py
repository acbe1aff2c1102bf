"""Renderings -> a COCO instances file."""

import contextlib
import io
from functools import cache

import numpy as np
from scipy.ndimage import binary_fill_holes

from selfpatch.demo.objects import KINDS
from selfpatch.demo.scenes import Rendering, Scene

UNUSED_IDS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
"""Ids up to 90 that COCO never used."""

Json = dict[str, object]


def instances_file(
    pictures: list[tuple[str, Scene, Rendering]], crowds: dict[str, int] | None = None
) -> Json:
    """Describe pictures as COCO's ``instances_*.json`` does.

    Args:
        pictures: File name, scene and rendering of each.
        crowds: File name -> how many of its scene's first things are one crowd.
    """
    images: list[Json] = []
    annotations: list[Json] = []
    for image_id, (name, scene, rendering) in enumerate(pictures, start=1):
        height, width = rendering.instances.shape
        images.append({"id": image_id, "file_name": name, "height": height, "width": width})
        for segment in segments(scene, rendering, (crowds or {}).get(name, 0)):
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, **segment})
    return {
        "info": {"description": "generated for the demo", "version": "1"},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for name, i in category_ids().items()],
    }


@cache
def category_ids() -> dict[str, int]:
    """Name -> id of COCO's 80 categories.

    All are declared, as in COCO's own files, because detectors number classes by their place in
    this list.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it prints which data sets it does without
        from mmdet.datasets import CocoDataset  # takes seconds, and only new data need it

    ids = (number for number in range(1, 91) if number not in UNUSED_IDS)
    return dict(zip(CocoDataset.METAINFO["classes"], ids, strict=True))


def segments(scene: Scene, rendering: Rendering, num_crowd: int) -> list[Json]:
    """The visible part of every thing of a picture; the first ``num_crowd`` as one crowd."""
    found = []
    if num_crowd:
        mask = (rendering.instances >= 1) & (rendering.instances <= num_crowd)
        shape = {"counts": run_lengths(mask), "size": list(mask.shape)}
        found.append(segment(scene.things[0].kind, mask, shape, iscrowd=1))
    for number, thing in enumerate(scene.things[num_crowd:], start=num_crowd + 1):
        mask = rendering.instances == number
        found.append(segment(thing.kind, mask, outlines(mask), iscrowd=0))
    return found


def segment(kind: str, mask: np.ndarray, shape: object, iscrowd: int) -> Json:
    """One annotation, without its ids."""
    rows, columns = np.nonzero(mask)
    top, left = int(rows.min()), int(columns.min())
    return {
        "category_id": category_ids()[KINDS[kind].coco_name],
        "iscrowd": iscrowd,
        "bbox": [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top],
        "area": int(mask.sum()),
        "segmentation": shape,
    }


def outlines(mask: np.ndarray) -> list[list[float]]:
    """Polygons [x1, y1, x2, y2, ...] in pixels around the parts of ``mask`` (H, W).

    The mask is enlarged first: a contour runs through pixel centres and would lose half a pixel.
    """
    import cv2

    enlarged = np.kron(mask, np.ones((4, 4))).astype(np.uint8)
    contours, _ = cv2.findContours(enlarged, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    smooth = [cv2.approxPolyDP(contour, 2.0, True)[:, 0] for contour in contours]
    large = [part for part in smooth if len(part) >= 3 and cv2.contourArea(part) >= 16]
    return [((part + 0.5) / 4).flatten().tolist() for part in large]


def has_hole(mask: np.ndarray) -> bool:
    """Whether ``mask`` (H, W) surrounds something, which COCO's polygons cannot say."""
    return bool((binary_fill_holes(mask) != mask).any())


def run_lengths(mask: np.ndarray) -> list[int]:
    """COCO's uncompressed run lengths: column by column, zeros first."""
    flat = np.concatenate([[0], mask.flatten(order="F"), [2]])
    edges = np.flatnonzero(np.diff(flat))
    return np.diff(np.concatenate([[0], edges])).tolist()
