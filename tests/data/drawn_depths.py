"""Images with depth maps in NYU's layouts, for the tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image


def save_depth(path: Path, millimetres: np.ndarray) -> None:
    """Write a map (H, W) as a PNG of 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(millimetres.astype(np.uint16)).save(path)


def draw_depths(root: Path, train: int = 6, test: int = 3) -> Path:
    """Images of areas that are the brighter the nearer they are, in mmsegmentation's layout."""
    generator = np.random.default_rng(0)
    for split, count in (("train", train), ("test", test)):
        for number in range(count):
            depth = np.kron(generator.integers(1, 9, (6, 8)), np.ones((16, 16))) * 1000
            image = 250 - 25 * depth[..., None] / 1000 + generator.integers(-4, 5, (96, 128, 3))
            path = root / "images" / split / f"room_{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path, quality=95)
            save_depth(root / "annotations" / split / f"room_{number}.png", depth)
    return root


def as_listed(root: Path, to: Path, line: Callable[[str, str], str]) -> Path:
    """The same files in BTS' layout: folders of scenes, and lists whose lines ``line`` writes."""
    for split in ("train", "test"):
        lines = []
        for number, image in enumerate(sorted((root / "images" / split).iterdir())):
            scene = to / f"{split}_scene"
            scene.mkdir(parents=True, exist_ok=True)
            names = (f"rgb_{number:05}.jpg", f"sync_depth_{number:05}.png")
            (scene / names[0]).write_bytes(image.read_bytes())
            depth = root / "annotations" / split / f"{image.stem}.png"
            (scene / names[1]).write_bytes(depth.read_bytes())
            lines.append(line(*(f"{scene.name}/{name}" for name in names)))
        (to / f"nyu_{split}.txt").write_text("\n".join(lines) + "\n")
    return to
