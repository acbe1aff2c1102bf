"""Maps, boxes and masks -> drawn on an image."""

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
import torch.nn.functional as F
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from selfpatch.visualize.palette import standard_palette

Color = tuple[int, int, int]
COLORS: tuple[Color, ...] = (
    (230, 75, 53), (0, 160, 135), (60, 84, 190), (243, 155, 40), (145, 90, 190),
    (40, 170, 215), (160, 115, 75), (220, 90, 160), (120, 165, 40), (90, 95, 105),
)  # fmt: skip
"""Distinct colours for instances and classes; reused from the start when there are more."""


def distinct_colors(count: int) -> list[Color]:
    """Colours that are easy to tell apart: hues far from each other, in three lightnesses."""
    colors = []
    for index in range(count):
        hue = (0.02 + index * 0.618034) % 1
        saturation, value = ((0.75, 0.9), (0.55, 0.65), (0.45, 0.95))[index % 3]
        red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
        colors.append((round(255 * red), round(255 * green), round(255 * blue)))
    return colors


def heat(image: Image.Image, values: Tensor, patch: tuple[int, int] | None = None) -> Image.Image:
    """Lay a map over an image, least to greatest from dark to yellow (matplotlib's inferno).

    Args:
        image: The picture.
        values: (rows, columns).
        patch: A place of the map to frame, such as the asking patch.
    """
    scaled = (values - values.min()) / (values.max() - values.min()).clamp(min=1e-12)
    size = (image.height, image.width)
    large = F.interpolate(scaled[None, None].float(), size, mode="bilinear", align_corners=False)
    painted = colormaps["inferno"](large[0, 0].clamp(0, 1).numpy())[..., :3] * 255
    grey = np.asarray(image.convert("L")).astype(np.float32)[..., None]
    mixed = painted * (0.45 + 0.55 * grey / 255)
    drawn = Image.fromarray(mixed.astype(np.uint8))
    return drawn if patch is None else frame_patch(drawn, patch, tuple(values.shape))


def highlight(
    image: Image.Image, chosen: Tensor, patch: tuple[int, int] | None = None
) -> Image.Image:
    """Show the chosen places (rows, columns) of an image and darken the others."""
    size = (image.height, image.width)
    large = F.interpolate(chosen[None, None].float(), size, mode="nearest")[0, 0].bool().numpy()
    pixels = np.asarray(image.convert("RGB")).astype(np.float32)
    grey = pixels.mean(axis=-1, keepdims=True) * 0.3 + 12
    drawn = Image.fromarray(np.where(large[..., None], pixels, grey).astype(np.uint8))
    return drawn if patch is None else frame_patch(drawn, patch, tuple(chosen.shape))


def frame_patch(image: Image.Image, patch: tuple[int, int], grid: tuple[int, ...]) -> Image.Image:
    """Draw a frame around one patch of a grid (rows, columns): red, with white outside."""
    height, width = image.height / grid[0], image.width / grid[1]
    row, column = patch
    drawn = image.copy()
    pen, stroke = ImageDraw.Draw(drawn), max(2, round(max(image.size) / 120))
    for out, color in ((stroke + max(1, stroke // 2), (255, 255, 255)), (stroke, (230, 40, 40))):
        box = (
            column * width - out,
            row * height - out,
            (column + 1) * width - 1 + out,
            (row + 1) * height - 1 + out,
        )
        pen.rectangle(box, outline=color, width=out)
    return drawn


def paint_labels(
    image: Image.Image, labels: np.ndarray, colors: Mapping[int, Color], share: float
) -> Image.Image:
    """Tint what is labelled: classes, objects, or the places of a mask.

    Args:
        image: The picture.
        labels: (H, W), uint8 or boolean.
        colors: Label -> its colour; what has another label stays as it is.
        share: Share of the colour in a tinted pixel, from 0 to 1.
    """
    painted = np.asarray(image.convert("RGB")).astype(np.float32)
    labels = labels.astype(np.uint8)
    tinted = np.isin(labels, list(colors))
    tints = np.array([colors.get(label, (0, 0, 0)) for label in range(256)], np.float32)
    painted[tinted] = (1 - share) * painted[tinted] + share * tints[labels[tinted]]
    return Image.fromarray(painted.round().astype(np.uint8))


def paint_objects(image: Image.Image, objects: np.ndarray) -> Image.Image:
    """Tint the objects of a video's mask in DAVIS's colours, and draw their edges in white.

    Args:
        image: The frame.
        objects: uint8 (H, W): 0 = background, k = object k.
    """
    palette = np.array(standard_palette()).reshape(-1, 3).tolist()
    colors = {k: tuple(color) for k, color in enumerate(palette) if k > 0}
    painted = np.array(paint_labels(image, objects, colors, share=0.5))
    painted[1:][objects[1:] != objects[:-1]] = 255
    painted[:, 1:][objects[:, 1:] != objects[:, :-1]] = 255
    return Image.fromarray(painted)


def draw_instances(
    image: Image.Image,
    boxes: Sequence[Sequence[float]],
    labels: Sequence[str],
    masks: Sequence[np.ndarray],
) -> Image.Image:
    """Draw instances, the first one on top.

    Args:
        image: The picture.
        boxes: x, y, width, height of each, in pixels.
        labels: Text for each.
        masks: (H, W) of each.
    """
    for number in reversed(range(len(boxes))):
        image = paint_labels(image, masks[number] > 0, {1: COLORS[number % len(COLORS)]}, 0.45)
    drawn = image.copy()
    pen = ImageDraw.Draw(drawn)
    font = ImageFont.load_default(max(10, round(image.height / 22)))
    for number in reversed(range(len(boxes))):
        x, y, width, height = boxes[number]
        color = COLORS[number % len(COLORS)]
        pen.rectangle([x, y, x + width, y + height], outline=color, width=2)
        text = pen.textbbox((x, y), labels[number], font=font)
        shift = min(0, image.width - text[2] - 4)
        pen.rectangle([x + shift, y, text[2] + shift + 4, text[3] + 3], fill=color)
        pen.text((x + shift + 2, y), labels[number], fill=(255, 255, 255), font=font)
    return drawn
