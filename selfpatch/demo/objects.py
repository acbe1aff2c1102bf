"""Kind of object -> its outline and its painted surface."""

import colorsys
from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Kind:
    """What the two data sets call a kind of object: COCO's name, ADE20K's class id (0 = other)."""

    coco_name: str
    ade_class: int


KINDS = {
    "ball": Kind("sports ball", 120),  # ball
    "sign": Kind("stop sign", 44),  # signboard
    "kite": Kind("kite", 0),  # of no class: other
    "banana": Kind("banana", 121),  # food
}


def signed_distance(kind: str, x: Array, y: Array) -> Array:
    """Distance to the outline, negative inside, in units of the object's radius.

    Args:
        kind: A key of :data:`KINDS`.
        x: Places to the right, in units of the radius, in the object's own frame.
        y: Places downwards, likewise.
    """
    if kind == "ball":
        return np.hypot(x, y) - 1
    if kind == "sign":
        return regular_polygon(8, x, y)
    if kind == "kite":
        return polygon(((0.0, -1.0), (0.72, -0.2), (0.0, 1.0), (-0.72, -0.2)), x, y)
    if kind == "banana":
        return np.maximum(np.hypot(x, y) - 1, 0.92 - np.hypot(x, y + 0.62))
    raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")


def surface(kind: str, x: Array, y: Array, hue: float) -> Array:
    """Colours (..., 3) in [0, 1] of an object, lit from the upper left."""
    paint = {"ball": ball, "sign": sign, "kite": kite, "banana": banana}[kind]
    return paint(x, y, hue)


def ball(x: Array, y: Array, hue: float) -> Array:
    """A beach ball: six panels around a pole, shaded as a sphere."""
    z = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    panel = np.floor((np.arctan2(y + 0.35, x + 0.2) / np.pi + 1) * 3).astype(int) % 3
    colors = np.array([rgb(hue, 0.8, 0.95), (0.97, 0.97, 0.94), rgb(hue + 0.45, 0.75, 0.9)])
    light = 0.42 + 0.62 * np.clip((-0.5 * x - 0.6 * y + 0.62 * z), 0, 1)
    glint = np.clip((-0.5 * x - 0.6 * y + 0.62 * z), 0, 1) ** 24
    return colors[panel] * light[..., None] + 0.5 * glint[..., None]


def sign(x: Array, y: Array, hue: float) -> Array:
    """A red octagon with a white rim and a white bar."""
    color = np.array([0.80, 0.10 + 0.08 * hue, 0.12]) * (0.95 - 0.18 * y)[..., None]
    rim = (regular_polygon(8, x, y) > -0.13)[..., None]
    bar = ((np.abs(y) < 0.2) & (np.abs(x) < 0.62))[..., None]
    return np.where(rim | bar, np.array([0.96, 0.96, 0.94]), color)


def kite(x: Array, y: Array, hue: float) -> Array:
    """A diamond of four panels in two colours, with its two spars."""
    first = (x > 0) == (y > -0.2)
    colors = np.where(first[..., None], rgb(hue, 0.7, 0.95), rgb(hue + 0.33, 0.55, 0.85))
    spar = (np.abs(x) < 0.035) | (np.abs(y + 0.2) < 0.035)
    return np.where(spar[..., None], 0.25, colors * (0.9 - 0.15 * x)[..., None])


def banana(x: Array, y: Array, hue: float) -> Array:
    """A yellow crescent, greener or riper, darker towards its tips and its lower edge."""
    ripe = np.array([0.98, 0.83, 0.22]) - 0.16 * hue * np.array([1.0, 0.1, 0.2])
    edge = np.clip(np.hypot(x, y), 0, 1)
    tip = np.clip((np.abs(x) - 0.72) * 6, 0, 1)[..., None]
    lit = ripe * (1.12 - 0.42 * edge**4)[..., None]
    return lit * (1 - tip) + np.array([0.33, 0.25, 0.12]) * tip


def regular_polygon(sides: int, x: Array, y: Array) -> Array:
    """Distance to a regular polygon of circumradius 1 that stands on a side."""
    angles = 2 * np.pi * (np.arange(sides) + 0.5) / sides
    return polygon(tuple(zip(np.sin(angles), -np.cos(angles), strict=True)), x, y)


def polygon(corners: tuple[tuple[float, float], ...], x: Array, y: Array) -> Array:
    """Distance to a convex polygon given clockwise (y points down); a lower bound at corners."""
    distance = np.full(np.shape(x), -np.inf)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = np.hypot(bx - ax, by - ay)
        outward = ((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / length
        distance = np.maximum(distance, outward)
    return distance


def rgb(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    """Hue, saturation, value -> red, green, blue, all in [0, 1]."""
    return colorsys.hsv_to_rgb(hue % 1, saturation, value)
