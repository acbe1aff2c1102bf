"""Videos of squares that move to the right."""

from pathlib import Path

import numpy as np

from davis_eval.masks import write_mask

SIZE = (64, 96)


def video(root: Path, name: str, masks: list[np.ndarray], annotations: str) -> None:
    for number, mask in enumerate(masks):
        write_mask(root / annotations / name / f"{number:05d}.png", mask)


def squares(num_frames: int, num_objects: int, shift: int = 0) -> list[np.ndarray]:
    masks = []
    for step in range(num_frames):
        mask = np.zeros(SIZE, dtype=np.uint8)
        for k in range(1, num_objects + 1):
            mask[20 * k - 18 : 20 * k, 4 + 6 * step + shift : 30 + 6 * step + shift] = k
        masks.append(mask)
    return masks
