"""Seed -> small data sets in the layouts of ImageNet, COCO, ADE20K and DAVIS."""

import json
import os
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from PIL import Image

from selfpatch.demo.coco import has_hole, instances_file
from selfpatch.demo.scenes import Rendering, Scene, Thing, draw_scene, moved, render
from selfpatch.demo.sizes import Sizes
from selfpatch.errors import InputError
from selfpatch.visualize.palette import standard_palette

STAMP = "generated.json"
VERSION = 1  # raise it whenever the same settings draw other pictures

# Two videos: what moves, and per frame its step (rows, columns, angle) and the camera's.
BALL = Thing("ball", 0.62, 0.35, 0.2, hue=0.58)
KITE = Thing("kite", 0.3, 1.25, 0.2, angle=-0.3, hue=0.05)
SIGN = Thing("sign", 0.62, 1.0, 0.17)
VIDEOS = {
    "beach-ball": (Scene(20, (BALL,)), [(0.004, 0.06, 0.2)], 0.01),
    "kite-and-sign": (Scene(3, (SIGN, KITE)), [(0.0, 0.0, 0.0), (0.02, -0.05, 0.03)], 0.02),
}


def generate(folder: str | os.PathLike[str], sizes: Sizes | None = None) -> Path:
    """Make ``images``, ``coco``, ``ade20k`` and ``davis`` in ``folder``, unless they are there.

    The same sizes give the same bytes. The folder appears complete or not at all.

    Raises:
        InputError: The folder exists and was not made by this function.
    """
    folder, sizes = Path(folder), sizes or Sizes()
    stamp = json.dumps({"version": VERSION, **asdict(sizes)}, indent=1)
    if folder.exists():
        if not (folder / STAMP).is_file():
            raise InputError(f"{folder} is not generated data; give a folder that does not exist")
        if (folder / STAMP).read_text() == stamp:
            return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        write_pretraining_images(unfinished / "images", sizes)
        write_coco(unfinished / "coco", sizes)
        write_ade20k(unfinished / "ade20k", sizes)
        write_davis(unfinished / "davis", sizes)
        (unfinished / STAMP).write_text(stamp)
        unfinished.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return folder


def picture(
    seed: tuple[int, ...], num_things: tuple[int, int], height: int, width: int
) -> tuple[Scene, Rendering]:
    """The first scene of a seed in which every thing is well visible and none surrounds another."""
    generator = np.random.default_rng(seed)
    while True:
        scene = draw_scene(generator, int(generator.integers(*num_things)), width / height)
        rendering = render(scene, height, width)
        if all(visible(rendering, number) for number in range(1, len(scene.things) + 1)):
            return scene, rendering


def visible(rendering: Rendering, number: int) -> bool:
    """Whether a thing shows at least 1/200 of the picture, and has no hole."""
    mask = rendering.instances == number
    return bool(mask.sum() > mask.size / 200) and not has_hole(mask)


def write_pretraining_images(folder: Path, sizes: Sizes) -> None:
    """Square images with two to five things, without labels."""
    side = sizes.height // 2
    for index in range(sizes.pretraining):
        _, rendering = picture((sizes.seed, 1, index), (2, 6), side, side)
        save_image(rendering.image, folder / f"{index:06d}.jpg")


def write_coco(folder: Path, sizes: Sizes) -> None:
    """COCO's layout; in each split one image without instances and one with a crowd."""
    (folder / "annotations").mkdir(parents=True)
    for number, (split, count) in enumerate(
        {"train2017": sizes.coco_train, "val2017": sizes.coco_val}.items()
    ):
        pictures, crowds = [], {}
        for index in range(count):
            name = f"{number * 1000 + index + 1:012d}.jpg"
            height, width = sizes.height, sizes.height * 4 // 3
            if index % 4 == 3:
                height, width = width, height
            seed = (sizes.seed, 2 + number, index)
            if index == 0:
                scene, rendering = crowd_picture(seed, height, width)
                crowds[name] = len(scene.things) - 1
            else:
                things = (0, 1) if index == 1 else (2, 6)
                scene, rendering = picture(seed, things, height, width)
            save_image(rendering.image, folder / split / name)
            pictures.append((name, scene, rendering))
        described = json.dumps(instances_file(pictures, crowds))
        (folder / "annotations" / f"instances_{split}.json").write_text(described)


def crowd_picture(seed: tuple[int, ...], height: int, width: int) -> tuple[Scene, Rendering]:
    """Two dozen balls in a heap, and one kite."""
    generator = np.random.default_rng(seed)
    balls = [
        Thing(
            "ball",
            row=0.84 - 0.11 * layer + generator.uniform(-0.01, 0.01),
            column=0.52 + 0.125 * (place + layer / 2) + generator.uniform(-0.01, 0.01),
            radius=0.08,
            angle=generator.uniform(-3, 3),
            hue=generator.uniform(),
        )
        for layer in range(4)
        for place in range(6 - layer)
    ]
    kite = Thing("kite", 0.3, 0.3, 0.2, angle=0.3, hue=generator.uniform())
    scene = Scene(int(generator.integers(2**31)), (*balls, kite))
    return scene, render(scene, height, width)


def write_ade20k(folder: Path, sizes: Sizes) -> None:
    """ADE20K's layout: JPEG images, and PNG maps in which 0 is other and 1-150 are classes."""
    splits = {"training": ("train", sizes.ade_train), "validation": ("val", sizes.ade_val)}
    for number, (split, (short, count)) in enumerate(splits.items()):
        for index in range(count):
            seed = (sizes.seed, 4 + number, index)
            _, rendering = picture(seed, (2, 6), sizes.height, sizes.height * 4 // 3)
            name = f"ADE_{short}_{index + 1:08d}"
            save_image(rendering.image, folder / "images" / split / f"{name}.jpg")
            save_image(rendering.classes, folder / "annotations" / split / f"{name}.png")


def write_davis(folder: Path, sizes: Sizes) -> None:
    """DAVIS-2017's layout: frames, indexed masks with the standard palette, and the list."""
    palette = standard_palette()
    for name, (scene, steps, camera) in VIDEOS.items():
        scene = replace(scene, seed=scene.seed + sizes.seed)
        for frame in range(sizes.frames):
            rendering = render(scene, sizes.height, sizes.height * 16 // 9)
            image = folder / "JPEGImages" / "480p" / name / f"{frame:05d}.jpg"
            save_image(rendering.image, image)
            mask = folder / "Annotations" / "480p" / name / f"{frame:05d}.png"
            save_image(rendering.instances, mask, palette)
            scene = moved(scene, steps, camera)
    listed = folder / "ImageSets" / "2017" / "val.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text("".join(f"{name}\n" for name in VIDEOS))


def save_image(pixels: np.ndarray, path: Path, palette: list[int] | None = None) -> None:
    """Write (H, W, 3) colours or (H, W) indices, as the file's extension says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette)
    image.save(path, quality=92)  # of a JPEG; PNG has no such setting
