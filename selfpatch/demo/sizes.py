"""How much is generated."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """How much to generate.

    Attributes:
        pretraining: Number of images.
        coco_train: Number of training images with instances.
        coco_val: Number of validation images with instances.
        ade_train: Number of training pairs of image and map.
        ade_val: Number of validation pairs.
        frames: Frames per video.
        height: Height of every picture, in pixels; those for pretraining are squares of half of it.
        seed: Seed of everything random.
    """

    pretraining: int = 256
    coco_train: int = 48
    coco_val: int = 16
    ade_train: int = 32
    ade_val: int = 12
    frames: int = 10
    height: int = 240
    seed: int = 0
