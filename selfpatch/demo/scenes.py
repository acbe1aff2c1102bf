"""Seed -> a landscape with shaded objects, rendered with its instances and its semantic map."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter

from selfpatch.demo.objects import KINDS, signed_distance, surface

Array = np.ndarray

OTHER, SKY, GRASS, EARTH, MOUNTAIN, WATER, SAND = 0, 3, 10, 14, 17, 22, 47
"""Ids of ADE20K's classes, as its annotation files store them."""


@dataclass(frozen=True)
class Thing:
    """An object of a scene.

    Attributes:
        kind: A key of :data:`selfpatch.demo.objects.KINDS`.
        row: Row of the centre, as a share of the scene's height.
        column: Column of the centre, as a share of the height too, so that pixels are square.
        radius: Radius, as a share of the scene's height.
        angle: Angle, in radians.
        hue: Hue of its main colour, in [0, 1).
    """

    kind: str
    row: float
    column: float
    radius: float
    angle: float = 0.0
    hue: float = 0.0


@dataclass(frozen=True)
class Scene:
    """A landscape and its things, the farthest first.

    Attributes:
        seed: Seed of everything random in the landscape.
        things: Its things; later ones hide earlier ones.
        pan: How far the camera has moved to the right, as a share of the scene's height.
    """

    seed: int
    things: tuple[Thing, ...]
    pan: float = 0.0


@dataclass(frozen=True)
class Rendering:
    """What a camera sees of a scene.

    Attributes:
        image: (H, W, 3) uint8.
        classes: (H, W) uint8, ADE20K's class ids, 0 = other.
        instances: (H, W) uint8, 0 = landscape, k = ``scene.things[k - 1]``.
    """

    image: Array
    classes: Array
    instances: Array


def draw_scene(generator: np.random.Generator, num_things: int, aspect: float = 1.0) -> Scene:
    """Draw a scene; nearer things stand lower, are larger and hide farther ones.

    Args:
        generator: The source of all randomness.
        num_things: How many objects.
        aspect: Width over height of the picture that will be taken.
    """
    things = [
        Thing(
            kind=str(generator.choice(list(KINDS))),
            row=generator.uniform(0.2, 0.85),
            column=generator.uniform(0.1, 0.9) * aspect,
            radius=generator.uniform(0.09, 0.24),
            angle=generator.uniform(-0.6, 0.6),
            hue=generator.uniform(0.0, 1.0),
        )
        for _ in range(num_things)
    ]
    things.sort(key=lambda thing: thing.row + thing.radius)
    return Scene(int(generator.integers(2**31)), tuple(things))


def render(scene: Scene, height: int, width: int) -> Rendering:
    """Draw the landscape, then every thing with its shadow."""
    color, classes = landscape(scene, height, width)
    instances = np.zeros((height, width), np.uint8)
    for number, thing in enumerate(scene.things, start=1):
        draw_thing(thing, number, scene.pan, color, classes, instances)
    return Rendering((np.clip(color, 0, 1) * 255).round().astype(np.uint8), classes, instances)


def draw_thing(
    thing: Thing, number: int, pan: float, color: Array, classes: Array, instances: Array
) -> None:
    """Paint one thing over the three maps of a rendering, within a window around it."""
    height, width = classes.shape
    reach, row, column = 1.8 * thing.radius, thing.row, thing.column - pan
    window = (
        slice(max(0, round((row - reach) * height)), max(0, round((row + reach) * height))),
        slice(max(0, round((column - reach) * height)), max(0, round((column + reach) * height))),
    )
    if 0 in classes[window].shape:
        return
    rows, columns = (axis[window] for axis in pixel_centers(height, width))
    x, y = (columns - column) / thing.radius, (rows - row) / thing.radius
    x, y = rotate(x, y, thing.angle)
    distance = signed_distance(thing.kind, x, y) * thing.radius * height
    shade = 1 - 0.45 * shadow(distance < 0, thing.radius * height)[..., None]
    alpha = np.clip(0.5 - distance, 0, 1)[..., None]
    paint = surface(thing.kind, x, y, thing.hue)
    color[window] = color[window] * shade * (1 - alpha) + paint * alpha
    classes[window][distance < 0] = KINDS[thing.kind].ade_class
    instances[window][distance < 0] = number


def pixel_centers(height: int, width: int) -> tuple[Array, Array]:
    """Rows and columns of all pixel centres, both in units of the height: two (H, W)."""
    rows, columns = np.mgrid[:height, :width]
    return (rows + 0.5) / height, (columns + 0.5) / height


def rotate(x: Array, y: Array, angle: float) -> tuple[Array, Array]:
    """Coordinates in a frame that is turned by ``angle``."""
    return np.cos(angle) * x + np.sin(angle) * y, -np.sin(angle) * x + np.cos(angle) * y


def shadow(mask: Array, radius_pixels: float) -> Array:
    """A soft shadow of ``mask``, thrown to the lower right: (H, W) in [0, 1]."""
    offset = max(1, round(0.16 * radius_pixels))
    thrown = np.zeros_like(mask)
    thrown[offset:, offset:] = mask[:-offset, :-offset]
    blurred = Image.fromarray(thrown.astype(np.uint8) * 255).filter(
        ImageFilter.GaussianBlur(0.18 * radius_pixels)
    )
    return np.asarray(blurred, np.float64) / 255


def landscape(scene: Scene, height: int, width: int) -> tuple[Array, Array]:
    """Sky with clouds, mountains, and a ground that is grass, earth, sand or water.

    Returns:
        Colours (H, W, 3) in [0, 1] and ADE20K's class ids (H, W).
    """
    generator = np.random.default_rng(scene.seed)
    rows, columns = pixel_centers(height, width)
    columns = columns + scene.pan
    outline, clouds, relief = (Noise(generator) for _ in range(3))
    horizon = generator.uniform(0.38, 0.6)
    rise = generator.uniform(0.15, 0.4)
    ground = str(generator.choice(list(GROUNDS)))
    sky = SKIES[generator.integers(len(SKIES))]
    rock = np.array(generator.choice(ROCKS))
    split = round(horizon * height)

    color = np.empty((height, width, 3))
    classes = np.full((height, width), SKY, np.uint8)
    color[:split] = sky_color(sky, rows[:split] / horizon, columns[:split], clouds)

    ridge = horizon - 0.02 - rise * outline(rows[:1], 0.9 * columns[:1]) ** 2
    far = rows[:split] > ridge
    light = 0.8 + 0.6 * (relief(4 * rows[:split], 2.5 * columns[:split]) - 0.5)[..., None]
    haze = 0.35 * (rows[:split] / horizon)[..., None] ** 4
    color[:split][far] = (rock * light * (1 - haze) + sky[1] * haze)[far]
    classes[:split][far] = MOUNTAIN

    color[split:] = ground_color(ground, rows[split:] - horizon, columns[split:], relief)
    classes[split:] = GROUNDS[ground]
    return color, classes


def sky_color(sky: tuple[Array, Array], share: Array, columns: Array, noise: "Noise") -> Array:
    """The sky (H, W, 3): from the colour overhead to the one at the horizon, with clouds."""
    top, bottom = sky
    color = (1 - share[..., None]) * top + share[..., None] * bottom
    clouds = np.clip(noise(1.2 * share, 0.8 * columns) * 1.7 - 0.75, 0, 1)[..., None]
    return color + clouds * (np.array([1.0, 0.99, 0.97]) - color)


def ground_color(ground: str, below: Array, columns: Array, noise: "Noise") -> Array:
    """The texture of a plane that recedes to the horizon, ``below`` which it lies: (H, W, 3)."""
    depth = 1 / (below + 0.12)
    stretch = (3.0, 0.5) if ground == "water" else (1.6, 1.0)
    texture = noise(stretch[0] * depth, stretch[1] * (columns - 0.5) * depth)
    fine = noise(23 * below, 23 * columns)
    light = 0.62 + 0.45 * texture + 0.22 * (fine - 0.5) - 0.03 * (depth - 2)
    return np.array(GROUND_COLORS[ground]) * light[..., None]


class Noise:
    """Smooth random texture in [0, 1] over the plane, periodic with period 8; four octaves."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.lattices = [generator.uniform(0, 1, (8 * 2**k, 8 * 2**k)) for k in range(4)]

    def __call__(self, rows: Array, columns: Array) -> Array:
        """Values at any coordinates."""
        total = sum(
            sample(lattice, rows * 2**k, columns * 2**k) / 2**k
            for k, lattice in enumerate(self.lattices)
        )
        return np.asarray(total) / 1.875


def sample(lattice: Array, rows: Array, columns: Array) -> Array:
    """Smoothly interpolated values of a periodic lattice."""
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = smooth(rows - top), smooth(columns - left)
    size = len(lattice)
    a, b = lattice[top % size, left % size], lattice[top % size, (left + 1) % size]
    c, d = lattice[(top + 1) % size, left % size], lattice[(top + 1) % size, (left + 1) % size]
    return (a * (1 - right) + b * right) * (1 - down) + (c * (1 - right) + d * right) * down


def smooth(t: Array) -> Array:
    """The cubic that rises from 0 to 1 with flat ends."""
    return t * t * (3 - 2 * t)


def moved(scene: Scene, motions: Sequence[tuple[float, float, float]], pan: float) -> Scene:
    """The scene after its things moved by (rows, columns, angle) and the camera by ``pan``."""
    things = tuple(
        replace(
            thing,
            row=thing.row + rows,
            column=thing.column + columns,
            angle=thing.angle + angle,
        )
        for thing, (rows, columns, angle) in zip(scene.things, motions, strict=True)
    )
    return replace(scene, things=things, pan=scene.pan + pan)


GROUNDS = {"grass": GRASS, "earth": EARTH, "sand": SAND, "water": WATER}
GROUND_COLORS = {
    "grass": (0.42, 0.62, 0.27),
    "earth": (0.60, 0.45, 0.33),
    "sand": (0.93, 0.82, 0.60),
    "water": (0.27, 0.52, 0.66),
}
SKIES = [  # colour overhead, colour at the horizon
    (np.array([0.30, 0.55, 0.86]), np.array([0.80, 0.90, 0.97])),
    (np.array([0.45, 0.50, 0.75]), np.array([0.98, 0.82, 0.70])),
    (np.array([0.55, 0.65, 0.74]), np.array([0.87, 0.89, 0.90])),
]
ROCKS = [(0.47, 0.50, 0.58), (0.53, 0.47, 0.46), (0.36, 0.46, 0.44)]
