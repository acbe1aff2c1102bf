"""Crops -> views: colours, blur and solarisation, for many crops at once and on any device.

Brightness, contrast, saturation and grey are those of torchvision on Pillow's images, bit for bit,
as DINO uses them; hues and blurs differ from them by their roundings.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from selfpatch.data.draws import Draws

Operation = Callable[[Tensor, Tensor], Tensor]
"""Images (n, 3, H, W) in 0 ... 255, which it may overwrite, and n values -> images."""

Change = tuple[Operation, Tensor]
"""An operation and its value for one image, (1,)."""

THRESHOLD = 128.0
"""What is as bright as this is inverted by a solarisation."""


@torch.no_grad()
def photometric(crops: Tensor, draws: Draws, device: torch.device | str = "cpu") -> Tensor:
    """Crops uint8 (N, 3, H, W) -> views of them: whole numbers 0 ... 255 in fp32, on the device.

    Args:
        crops: The crops, on the CPU.
        draws: What becomes of each of them, on the CPU: which of them an operation is for is read
            there, so that no one waits for the device.
        device: Where to compute.
    """
    if torch.device(device).type == "cpu":
        return torch.cat([changed(crop.float(), of) for crop, of in one_by_one(crops, draws)])
    images = crops.to(device, non_blocking=True).float()
    for operation, rows, values in steps(draws):
        numbers = sent(torch.tensor(rows), images.device)
        images[numbers] = operation(images[numbers], sent(values, images.device))
    return images


def one_by_one(crops: Tensor, draws: Draws) -> Iterator[tuple[Tensor, list[Change]]]:
    """Each crop (1, 3, H, W) with what is done to it: on a CPU it stays in the caches meanwhile."""
    work: list[list[Change]] = [[] for _ in crops]
    for operation, rows, values in steps(draws):
        for row, value in zip(rows, values.split(1), strict=True):
            work[row].append((operation, value))
    return zip(crops.split(1), work, strict=True)


def changed(image: Tensor, changes: list[Change]) -> Tensor:
    """An image after all that is done to it."""
    for operation, value in changes:
        image = operation(image, value)
    return image


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Values on the device; the host does not wait, as it would for memory that may be swapped."""
    return values.pin_memory().to(device, non_blocking=True)


def steps(draws: Draws) -> list[tuple[Operation, list[int], Tensor]]:
    """The operations in their order, each with the n crops that it is for and its n values."""
    order, factors = draws.order.T.tolist(), draws.factors.tolist()
    chosen: list[tuple[Operation, list[int], Tensor]] = []
    for turn in order:
        for number, operation in enumerate(JITTER):
            rows = [crop for crop, drawn in enumerate(turn) if drawn == number]
            chosen.append((operation, rows, torch.tensor([factors[r][number] for r in rows])))
    rows = draws.gray.nonzero()[:, 0].tolist()
    chosen.append((adjust_saturation, rows, torch.zeros(len(rows))))
    rows = draws.radius.nonzero()[:, 0].tolist()
    chosen.append((gaussian_blur, rows, three_boxes(draws.radius[rows])))
    rows = draws.solarize.nonzero()[:, 0].tolist()
    chosen.append((solarize, rows, torch.full((len(rows),), THRESHOLD)))
    return [step for step in chosen if step[1]]


RED, GREEN, BLUE = 19595 / 2**16, 38470 / 2**16, 7471 / 2**16
"""Weights of ITU-R 601 as Pillow has them, with which sums in fp32 are exact."""


def per_image(values: Tensor) -> Tensor:
    """(n,) -> (n, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def luma(images: Tensor) -> Tensor:
    """The grey of images (n, 3, H, W): (n, 1, H, W), rounded, with Pillow's weights."""
    red, green, blue = images.split(1, dim=1)
    gray = (red * RED).add_(green, alpha=GREEN).add_(blue, alpha=BLUE)
    return gray.add_(0.5).floor_()


def cut(images: Tensor) -> Tensor:
    """To whole numbers of 8 bits; what comes after the point is left away, as Pillow does."""
    return images.clamp_(0, 255).floor_()


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by the factor."""
    return cut(images.mul_(per_image(factor)))


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from the mean of the grey image, at a factor below 1 towards it."""
    gray = luma(images)
    # Sums of rows are exact in fp32, of all of them in fp64: whatever the threads.
    mean = gray.sum(3, keepdim=True).sum(2, keepdim=True, dtype=torch.float64)
    mean = mean.div_(gray[0].numel()).add_(0.5).floor_().float()
    return cut(images.sub_(mean).mul_(per_image(factor)).add_(mean))


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from the grey image, at a factor below 1 towards it; at 0 nothing else is left."""
    gray = luma(images)
    return cut(images.sub_(gray).mul_(per_image(factor)).add_(gray))


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue of HSV, whose three numbers have 8 bits, by ``shift`` of the whole circle."""
    red, green, blue = images.unbind(1)
    value = torch.maximum(red, green).clamp_(min=blue)
    chroma = value - torch.minimum(red, green).clamp_(max=blue)
    # The hue lies around 0 where red is greatest, with green around 2, with blue around 4 sixths.
    # Weights of 0 and 1 choose exactly, and on a CPU many times as fast as torch.where.
    is_it = torch.empty_like(value)
    sixths = (red - green).add_(chroma, alpha=4)
    sixths.lerp_((blue - red).add_(chroma, alpha=2), torch.eq(value, green, out=is_it))
    sixths.lerp_(green - blue, torch.eq(value, red, out=is_it))
    hue = sixths.div_(torch.clamp(chroma, min=1, out=is_it)).mul_(255 / 6).floor_()
    hue.add_(torch.lt(hue, 0, out=is_it), alpha=255).add_((shift * 255).trunc_().view(-1, 1, 1))
    hue.div_(256)  # what wraps around is a byte, not the circle
    sixths = hue.sub_(torch.floor(hue, out=is_it)).mul_(6 * 256 / 255)
    most = chroma.mul_(255).div_(torch.clamp(value, min=1, out=is_it)).floor_().mul_(value)
    # A channel lies below the value by a trapezium of the hue, at a place of its own.
    below = sixths[:, None] - middles(images.device)
    below.abs_()
    below[:, 0].neg_().add_(3)
    below.sub_(1).clamp_(0, 1)
    return torch.addcmul(value[:, None], most[:, None], below, value=-1 / 255, out=below).round_()


@lru_cache(maxsize=16)
def middles(device: torch.device) -> Tensor:
    """The sixths of the circle around which a channel is least (red) or greatest."""
    return torch.tensor([3.0, 2.0, 4.0], device=device).view(3, 1, 1)


JITTER: tuple[Operation, ...] = (
    adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue,
)  # fmt: skip
"""The operations of the colour jitter, by number."""


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert whatever is at the threshold or above."""
    bright = images.ge(per_image(threshold)).float()
    return images.addcmul_(bright, 255 - 2 * images)


REACH = 6
"""Pixels that a blur reaches: each of its three boxes two at most, for radii up to 2.4."""

SHORT = 4 * REACH + 1
"""A side whose middle pixel, blurred, feels neither end."""

BLOCK = 48
"""Pixels of a side that are blurred in one matrix product."""


def gaussian_blur(images: Tensor, boxes: Tensor) -> Tensor:
    """Pillow's Gaussian blur: three box blurs one after the other, along rows and columns.

    A blur along a side is a product with a banded matrix; it is taken in blocks, with the part of
    the band that is not zero.

    Args:
        images: (n, 3, H, W), of 12 pixels or more to each side.
        boxes: What they are blurred with, (n, SHORT, SHORT), see :func:`three_boxes`.
    """
    height, width = images.shape[2:]
    matrices = {side: blur_matrix(side, boxes)[:, None] for side in {height, width}}
    across, down = matrices[width], matrices[height]
    images = torch.cat(
        [images[..., near] @ across[..., block, near].mT for block, near in blocks(width)], dim=3
    )
    return torch.cat(
        [down[..., block, near] @ images[..., near, :] for block, near in blocks(height)], dim=2
    ).round_()


def blocks(side: int) -> list[tuple[slice, slice]]:
    """Blocks of places along a side, and the places that a blur of each looks at."""
    return [
        (slice(start, start + BLOCK), slice(max(start - REACH, 0), start + BLOCK + REACH))
        for start in range(0, side, BLOCK)
    ]


def three_boxes(radius: Tensor) -> Tensor:
    """Three box blurs of a short side, which have the standard deviations ``radius`` together.

    A box reaches ``whole`` pixels and a ``part`` of the next to either side; pixels beyond an end
    are like the last one. Source: P. Gwosdek et al., Theoretical Foundations of Gaussian
    Convolution by Extended Box Filtering (2011), which Pillow follows.

    Args:
        radius: (n,), up to 2.4 pixels.

    Returns:
        (n, SHORT, SHORT), a row for each blurred pixel.
    """
    variance = radius.double() ** 2 / 3
    whole = (((12 * variance + 1).sqrt() - 1) / 2).floor()
    part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance)
    part = part / (6 * (variance - (whole + 1) ** 2))
    offset = torch.arange(-REACH // 3, REACH // 3 + 1)
    weights = ((whole + part)[:, None] - offset.abs() + 1).clamp(0, 1)
    weights = weights / weights.sum(1, keepdim=True)
    place = (torch.arange(SHORT)[:, None] + offset).clamp(0, SHORT - 1)
    shape = (len(radius), SHORT, -1)
    box = weights.new_zeros(len(radius), SHORT, SHORT)
    box.scatter_add_(2, place.expand(shape), weights[:, None].expand(shape))
    return (box @ box @ box).float()


def blur_matrix(side: int, boxes: Tensor) -> Tensor:
    """The boxes (n, SHORT, SHORT) for another side: (n, side, side), a row per blurred pixel."""
    index, inside = stretched(side, boxes.device)
    return boxes.flatten(1).index_select(1, index).view(-1, side, side).mul_(inside)


@lru_cache(maxsize=16)
def stretched(side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each entry of a side's matrix stands in that of a short one: all middle rows are alike.

    Returns:
        int64 (side * side,), into the flat matrix, and fp32 (side, side), 0 beyond the band.
    """
    place, middle = torch.arange(side), SHORT // 2
    from_end = (place + SHORT - side).clamp(min=middle)
    row = torch.where(2 * place < side, place.clamp(max=middle), from_end)
    offset = place - place[:, None]
    inside = offset.abs() <= REACH
    index = row[:, None] * SHORT + (row[:, None] + offset).clamp(0, SHORT - 1)
    return index.flatten().to(device), inside.float().to(device)
