"""Crops -> views: colours, blur and solarisation, for many crops at once and on any device.

Colours are torchvision's on floats, blurs are Pillow's, as DINO uses both; nothing is rounded
between the operations, only what comes out of the last one.
"""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from selfpatch.data.draws import Draws

Operation = Callable[[Tensor, Tensor], Tensor]
"""Images (n, 3, H, W) in 0 ... 255, which it may overwrite, and n values -> images."""

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
    # These copies wait for what is queued before them, so the large one comes last.
    work = [
        (operation, rows, torch.tensor(rows).to(device), values.to(device))
        for operation, rows, values in steps(draws)
    ]
    images = crops.to(device, non_blocking=True).float()
    for operation, rows, numbers, values in work:
        if images.device.type == "cpu":
            one_by_one(operation, images, rows, values)
        else:
            images[numbers] = operation(images[numbers], values)
    return images.round_()


def one_by_one(operation: Operation, images: Tensor, rows: list[int], values: Tensor) -> None:
    """Change some of the images: less copying than at once, and they stay in a CPU's caches."""
    for row, value in zip(rows, values.split(1), strict=True):
        image = images[row : row + 1]
        if (changed := operation(image, value)) is not image:
            images[row] = changed[0]


def steps(draws: Draws) -> list[tuple[Operation, list[int], Tensor]]:
    """The operations in their order, each with the n crops that it is for and its n values."""
    order, crops = draws.order.tolist(), range(len(draws.order))
    chosen: list[tuple[Operation, list[int], Tensor]] = []
    for turn in range(len(JITTER)):
        for number, operation in enumerate(JITTER):
            rows = [crop for crop in crops if order[crop][turn] == number]
            chosen.append((operation, rows, draws.factors[rows, number]))
    rows = draws.gray.nonzero()[:, 0].tolist()
    chosen.append((adjust_saturation, rows, torch.zeros(len(rows))))
    rows = draws.radius.nonzero()[:, 0].tolist()
    chosen.append((gaussian_blur, rows, three_boxes(draws.radius[rows])))
    rows = draws.solarize.nonzero()[:, 0].tolist()
    chosen.append((solarize, rows, torch.full((len(rows),), THRESHOLD)))
    return [step for step in chosen if step[1]]


def per_image(values: Tensor) -> Tensor:
    """(n,) -> (n, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)


def luma(images: Tensor) -> Tensor:
    """The grey of images (n, 3, H, W): (n, 1, H, W), with the weights of ITU-R 601."""
    red, green, blue = images.split(1, dim=1)
    return (0.2989 * red).add_(green, alpha=0.587).add_(blue, alpha=0.114)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by the factor."""
    return images.mul_(per_image(factor)).clamp_(0, 255)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from the mean of the grey image, at a factor below 1 towards it."""
    mean, factor = luma(images).mean((1, 2, 3), keepdim=True), per_image(factor)
    return images.mul_(factor).add_(mean * (1 - factor)).clamp_(0, 255)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from the grey image, at a factor below 1 towards it; at 0 nothing else is left."""
    factor = per_image(factor)
    gray = luma(images).mul_(1 - factor)
    return images.mul_(factor).add_(gray).clamp_(0, 255)


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue of HSV by ``shift`` of the whole circle."""
    red, green, blue = images.unbind(1)
    value = images.amax(1)
    chroma = value - images.amin(1)
    # The hue lies around 0 where red is greatest, with green around 2, with blue around 4 sixths.
    # Weights of 0 and 1 choose exactly, and on a CPU many times as fast as torch.where.
    is_greatest = torch.empty_like(value)
    sixths = (red - green).add_(chroma, alpha=4)
    sixths.lerp_((blue - red).add_(chroma, alpha=2), torch.eq(value, green, out=is_greatest))
    sixths.lerp_(green - blue, torch.eq(value, red, out=is_greatest))
    hue = sixths.div_(chroma.clamp(min=1e-6).mul_(6))
    # A channel lies below the value by the chroma times a trapezium of the hue, at its own place.
    places = torch.arange(11, 5, -2, device=images.device).view(3, 1, 1) / 6
    turned = hue[:, None] + (places + per_image(shift))
    below = torch.rsub(turned.frac_().sub_(1 / 3).abs_(), 2, alpha=6).clamp_(0, 1)
    return torch.addcmul(value[:, None], chroma[:, None], below, value=-1, out=below)


JITTER: tuple[Operation, ...] = (
    adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue,
)  # fmt: skip
"""The operations of the colour jitter, by number."""


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert whatever is at the threshold or above, once it is rounded."""
    bright = images.round_().ge(per_image(threshold)).float()
    return images.addcmul(bright, 255 - 2 * images)


REACH = 6
"""Pixels that a blur reaches: each of its three boxes two at most, for radii up to 2.4."""

SHORT = 4 * REACH + 1
"""A side whose middle pixel, blurred, feels neither end."""

BLOCK = 64
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
    )


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
