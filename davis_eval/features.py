"""Frames -> features: the trunk's tokens, each frame's once."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from davis_eval.frames import read_frame
from davis_eval.settings import Reading, Settings
from selfpatch.errors import InputError
from selfpatch.models.trunks import Trunk
from selfpatch.models.vit import IMAGENET_STD

DINO_STD = (0.228, 0.224, 0.225)
"""What DINO's evaluation divides ImageNet's images by; training divides red by 0.229. Kept for
parity."""


def resolved(reading: Reading, trunk: Trunk) -> Reading:
    """The reading with its layer stated.

    Raises:
        InputError: There is no such layer, or no norm that fits it.
    """
    last = trunk.num_layers
    layer = trunk.correspondence_layer + 1 if reading.layer is None else reading.layer
    if not 1 <= layer <= last:
        raise InputError(f"the backbone has layers 1 to {last}, not {layer}; change --layer")
    fits = trunk.layer_dims[layer - 1] == trunk.embed_dim
    if reading.tokens == "final-norm" and (not fits or isinstance(trunk.norm, nn.Identity)):
        raise InputError(f"the backbone has no norm for layer {layer}; see --tokens")
    return replace(reading, layer=layer)


def resolved_settings(settings: Settings, trunk: Trunk) -> Settings:
    """The settings with the layer stated that is read of this trunk."""
    return replace(settings, reading=resolved(settings.reading, trunk))


def layer_index(reading: Reading) -> int:
    """Index of the layer of a reading that was :func:`resolved`."""
    if reading.layer is None:
        raise ValueError("which layer is read depends on the trunk; see resolved()")
    return reading.layer - 1


def stride(trunk: Trunk, reading: Reading) -> int:
    """Pixels from one feature to the next, for a reading whose layer is stated."""
    return trunk.layer_strides[layer_index(reading)]


def feature_maps(trunk: Trunk, images: Tensor, reading: Reading) -> Tensor:
    """Images (B, 3, H, W) -> features (B, rows, columns, D); the reading's layer is stated."""
    (maps,) = trunk.layer_maps(images, [layer_index(reading)])
    features = maps.permute(0, 2, 3, 1)
    return trunk.norm(features) if reading.tokens == "final-norm" else features


def network_size(
    height: int, width: int, short_side: int = 480, multiple: int = 1
) -> tuple[int, int]:
    """Size at which the network sees a frame of ``height`` x ``width`` pixels.

    The short side becomes ``short_side``; the long one follows and is floored to a multiple of 64,
    as in DINO's evaluation. Both are floored to a ``multiple``, which 64 has in DINO's case.
    """
    long_side = short_side * max(height, width) // min(height, width) // 64 * 64
    short_side, long_side = (side // multiple * multiple for side in (short_side, long_side))
    return (long_side, short_side) if height > width else (short_side, long_side)


def load_frame(path: Path, trunk: Trunk, short_side: int = 480, multiple: int = 1) -> Tensor:
    """One frame, resized and normalised as the trunk takes it: (3, H, W)."""
    frame = torch.from_numpy(read_frame(path).copy()).permute(2, 0, 1).float()
    size = network_size(frame.shape[1], frame.shape[2], short_side, multiple)
    # Rounded, since the original resizes images of whole numbers.
    resized = F.interpolate(frame[None], size, mode="bilinear")[0].round()
    std = DINO_STD if trunk.std == IMAGENET_STD else trunk.std
    shift, scale = (torch.tensor(values).view(3, 1, 1) for values in (trunk.mean, std))
    return (resized / 255 - shift) / scale


def ahead(load: Callable[[int], Tensor], numbers: Iterable[int]) -> Iterator[Tensor]:
    """Load one after the other, each in a thread while the one before is in use."""
    with ThreadPoolExecutor(1, "load", torch.set_num_threads, (1,)) as thread:
        loading: deque[Future[Tensor]] = deque()
        for number in numbers:
            loading.append(thread.submit(load, number))
            if len(loading) == 2:
                yield loading.popleft().result()
        while loading:
            yield loading.popleft().result()


@torch.inference_mode()
def extract(
    trunk: Trunk,
    frames: Sequence[Path],
    reading: Reading,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 2,
) -> Iterator[Tensor]:
    """Features of each frame, in order, computed a few frames ahead.

    Args:
        trunk: A trunk on the device to compute on.
        frames: Images, all of one size.
        reading: What is read.
        dtype: Precision of the trunk's computation; the features are fp32 all the same.
        batch_size: Frames that are computed together.

    Yields:
        (rows, columns, D).
    """
    device = next(trunk.parameters()).device
    reading = resolved(reading, trunk)
    multiple = stride(trunk, reading)

    def load(start: int) -> Tensor:
        batch = frames[start : start + batch_size]
        return torch.stack([load_frame(p, trunk, reading.short_side, multiple) for p in batch])

    for images in ahead(load, range(0, len(frames), batch_size)):
        images = images.to(device)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            features = feature_maps(trunk, images, reading)
        yield from features.float()
