"""Frames -> features: the backbone's tokens, each frame's once."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from davis_eval.sequences import read_frame
from selfpatch.models.trunks import Trunk

MEAN = (0.485, 0.456, 0.406)
STD = (0.228, 0.224, 0.225)
"""DINO's evaluation divides red by 0.228, where training divides by 0.229; kept for parity."""

SHORT_SIDE = 480

TOKENS: dict[str, Callable[[Trunk, Tensor], Tensor]] = {
    "last-block": lambda backbone, tokens: tokens,
    "final-norm": lambda backbone, tokens: backbone.norm(tokens),
}
"""Which tokens are read: after the last block, as SelfPatch does, or after the norm, as DINO."""


def network_size(height: int, width: int, short_side: int = SHORT_SIDE) -> tuple[int, int]:
    """Size at which the network sees a frame of ``height`` x ``width`` pixels.

    The short side becomes ``short_side``; the long one follows and is floored to a multiple of 64.
    """
    if width > height:
        return short_side, short_side * width // height // 64 * 64
    return short_side * height // width // 64 * 64, short_side


def load_frame(path: Path) -> Tensor:
    """One frame, resized and normalised: (3, H, W)."""
    frame = torch.from_numpy(read_frame(path).copy()).permute(2, 0, 1).float()
    size = network_size(*frame.shape[1:])
    # Rounded, since the original resizes images of whole numbers.
    resized = F.interpolate(frame[None], size, mode="bilinear")[0].round().clamp(0, 255)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (resized / 255 - mean) / std


@torch.inference_mode()
def extract(
    backbone: Trunk,
    frames: Sequence[Path],
    tokens: str = "last-block",
    dtype: torch.dtype = torch.float32,
    batch_size: int = 2,
) -> Iterator[Tensor]:
    """Features of each frame, in order, computed a few frames ahead.

    Args:
        backbone: On the device to compute on.
        frames: Images, all of one size.
        tokens: A key of :data:`TOKENS`.
        dtype: Of the backbone's computation; the features are fp32 all the same.
        batch_size: Frames that are computed together.

    Yields:
        (rows, columns, D).
    """
    device = next(backbone.parameters()).device
    remaining = iter(frames)
    while batch := list(islice(remaining, batch_size)):
        images = torch.stack([load_frame(path) for path in batch]).to(device)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            read = TOKENS[tokens](backbone, backbone(images))
        patches = read[:, backbone.num_prefix_tokens :].float()
        yield from patches.unflatten(1, backbone.grid(images))
