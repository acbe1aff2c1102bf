"""J and F of masks on disk, in turns with a textbook's way of them, in one process.

The textbook reads with Pillow, compares whole frames, and dilates with OpenCV by a disk.

Example:
    python -m tools.benchmarks.scoring --objects 1 5
"""

import argparse
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from davis_eval.masks import read_mask, write_mask
from davis_eval.scores import score_objects, score_sequence
from tools.benchmarks.turns import add_arguments, in_turns, peak_mib, report

HEIGHT, WIDTH = 480, 854
COLUMNS = ("objects", "part", "ms", "textbook ms", "ratio", "largest difference",
           "MiB more than idle", "textbook MiB")  # fmt: skip


def draw(folder: Path, num_frames: int, num_objects: int, seed: int) -> None:
    """Write masks of objects with wavy outlines that drift."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    centers = random.uniform(0.2, 0.8, (num_objects, 2)) * (HEIGHT, WIDTH)
    for number in range(num_frames):
        mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        for label, center in enumerate(centers, 1):
            center += random.normal(0, 3, 2)
            down, right = rows - center[0], columns - center[1]
            angle, phase = np.arctan2(down, right), random.uniform(0, 6)
            outline = 70 + 12 * np.sin(3 * angle + label) + 4 * np.sin(17 * angle + phase)
            mask[np.hypot(down, right) < outline] = label
        write_mask(folder / f"{number:05d}.png", mask)


def textbook_frame(true: np.ndarray, found: np.ndarray, labels: Sequence[int]) -> list[tuple]:
    """J and F of each object in one frame."""
    radius = math.ceil(0.008 * math.hypot(*true.shape))
    down, right = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (down**2 + right**2 <= radius**2).astype(np.uint8)
    scores = []
    for label in labels:
        masks = [mask == label for mask in (true, found)]
        union = np.sum(masks[0] | masks[1])
        edges = [textbook_edge(mask) for mask in masks]
        wide = [cv2.dilate(edge.astype(np.uint8), disk) > 0 for edge in edges]
        recall, precision = (
            np.sum(edge & other) / np.sum(edge) if edge.any() else 1.0
            for edge, other in zip(edges, wide[::-1], strict=True)
        )
        if edges[0].any() != edges[1].any():
            recall = precision = 0.0
        total = precision + recall
        scores.append((
            np.sum(masks[0] & masks[1]) / union if union else 1.0,
            2 * precision * recall / total if total else 0.0,
        ))  # fmt: skip
    return scores


def textbook_edge(mask: np.ndarray) -> np.ndarray:
    """Pixels unlike the next to the right, below, or both; the border is repeated."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    return (mask != padded[:-1, 1:]) | (mask != padded[1:, :-1]) | (mask != padded[1:, 1:])


def textbook_sequence(truth: Path, results: Path) -> np.ndarray:
    """Mean J and F of each object of the first mask, without first and last frame."""
    files = sorted(truth.glob("*.png"))
    labels = [label for label in np.unique(np.array(Image.open(files[0]))).tolist() if label]
    scores = []
    for path in files[1:-1]:
        true, found = (np.array(Image.open(file)) for file in (path, results / path.name))
        scores.append(textbook_frame(true, found, labels))
    return np.mean(scores, axis=0)


def our_sequence(truth: Path, results: Path) -> np.ndarray:
    """The same, our way."""
    scores = score_sequence(truth.parent, results.parent, truth.name)
    return np.array([(of.region.mean, of.boundary.mean) for of in scores.values()])


def measure(folder: Path, num_objects: int, num_frames: int, pairs: int) -> Iterator[Sequence[Any]]:
    """The rows for videos of so many objects."""
    truth, results = folder / f"truth/{num_objects}", folder / f"results/{num_objects}"
    draw(truth, num_frames, num_objects, seed=0)
    draw(results, num_frames, num_objects, seed=1)
    path = truth / "00001.png"
    true, found = read_mask(path), read_mask(results / path.name)
    labels = range(1, num_objects + 1)
    parts: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "reading a mask": (lambda: read_mask(path), lambda: np.array(Image.open(path))),
        "J and F of a frame": (
            lambda: list(score_objects(true, found, labels)),
            lambda: textbook_frame(true, found, labels),
        ),
        f"{num_frames} frames": (
            lambda: our_sequence(truth, results),
            lambda: textbook_sequence(truth, results),
        ),
    }
    for name, (ours, textbook) in parts.items():
        turns = in_turns(ours, textbook, pairs)
        seconds, plain_seconds = turns.seconds
        apart = np.abs(np.subtract(ours(), textbook())).max()
        peaks: list[Any] = ["", ""]
        if name.endswith("frames"):
            idle = peak_mib(len, [])
            ways = (our_sequence, textbook_sequence)
            peaks = [peak_mib(way, truth, results) - idle for way in ways]
        yield [
            num_objects, name, 1e3 * seconds, 1e3 * plain_seconds, turns.ratio, float(apart), *peaks
        ]  # fmt: skip


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--frames", type=int, default=30)
    add_arguments(parser, pairs=7)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row
            for count in args.objects
            for row in measure(Path(folder), count, args.frames, args.pairs)
        ]
    report(COLUMNS, rows, args)


if __name__ == "__main__":
    main()
