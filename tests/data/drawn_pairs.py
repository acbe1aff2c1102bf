"""Pairs of images in SPair-71k's layout, for the tests: images and known warps of them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

Side = tuple[str, Image.Image, np.ndarray]
"""Name of an image, the image, and x and y of its keypoints (K, 2)."""


def write_pair(
    root: Path, number: int, category: str, source: Side, target: Side, split: str = "test"
) -> Path:
    """Write a pair as SPair-71k's files have it; the target's box is that of its keypoints."""
    name = f"{number:06}-{source[0]}-{target[0]}:{category}"
    content: dict[str, object] = {
        "filename": name, "category": category, "mirror": 0,
        "kps_ids": [str(n) for n in range(len(source[2]))],
    }  # fmt: skip
    for side, (stem, image, points) in (("src", source), ("trg", target)):
        path = root / "JPEGImages" / category / f"{stem}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=95)
        corners = [*points.min(0).tolist(), *points.max(0).tolist()]
        content |= {
            f"{side}_imname": path.name, f"{side}_imsize": [*image.size, 3],
            f"{side}_kps": points.tolist(), f"{side}_bndbox": corners,
        }  # fmt: skip
    file = root / "PairAnnotation" / split / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


def warped(image: Image.Image, points: np.ndarray, matrix: np.ndarray) -> Side:
    """An affine warp of an image, and where its keypoints are in it.

    Args:
        image: The image.
        points: (K, 2), x and y.
        matrix: (2, 3), which takes x and y of the image to those of the warp.
    """
    whole = np.vstack([matrix, [0, 0, 1]])
    back = np.linalg.inv(whole)[:2].ravel().tolist()
    # PIL's centres of pixels lie at halves, those of keypoints at whole numbers.
    shift = np.array(back).reshape(2, 3)
    shift[:, 2] += 0.5 - shift[:, :2] @ [0.5, 0.5]
    moved = image.transform(
        image.size, Image.Transform.AFFINE, shift.ravel().tolist(), Image.Resampling.BILINEAR
    )
    return "warp", moved, points @ matrix[:, :2].T + matrix[:, 2]
