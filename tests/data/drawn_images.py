"""Images for the tests, drawn from random numbers."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def photograph(height: int, width: int, seed: int) -> Tensor:
    """uint8 (3, H, W) with what photographs have: edges, noise, greys, black and white."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 5, generator=generator) * 400 - 70
    image = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)[0]
    image[:, height // 2 :, : width // 4] = torch.rand(3, 1, 1, generator=generator) * 255
    image[:, : height // 4, width // 2 :] = 90.0
    image += torch.randn(3, height, width, generator=generator) * 4
    image[:, : height // 4, width // 2 : width // 4 * 3] = 90.0
    return image.clamp(0, 255).round().byte()


def draw_images(folder: Path) -> Path:
    """Fourteen images, in two class folders, of several sizes and modes."""
    draw = np.random.default_rng(0)
    for number in range(14):
        shape = (40 + number, 48, 3) if number % 3 else (40 + number, 48)
        path = folder / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 256, shape, dtype=np.uint8)).save(path)
    return folder
