"""Folder per class -> labelled images, resized and cropped as for evaluation."""

import os
from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2.functional import pil_to_tensor

from selfpatch.data.draws import Recipe, View
from selfpatch.data.images import list_images, read_image
from selfpatch.errors import InputError

CROP_AREA = (0.08, 1.0)
"""Least and greatest share of an image that a random crop covers, torchvision's default."""


class LabelledImages(Dataset[tuple[Tensor, int]]):
    """Images with the number of their class, which is the folder they lie in.

    Args:
        folder: One subfolder of images per class.
        classes: The classes in order.
        size: Side of the centre crop; the short side is resized to 8/7 of it first, as usual
            on ImageNet.
    """

    def __init__(self, folder: str, classes: list[str], size: int) -> None:
        self.files = [os.fsdecode(path) for path in list_images(folder)]
        numbers = {name: number for number, name in enumerate(classes)}
        names = [class_of(path, folder) for path in self.files]
        unknown = sorted({name for name in names if name not in numbers})
        if unknown:
            raise InputError(f"{folder} has classes without training images: {', '.join(unknown)}")
        self.folder, self.size, self.num_classes = folder, size, len(classes)
        self.labels = [numbers[name] for name in names]
        self.crop = v2.Compose(
            [v2.Resize(size * 8 // 7, InterpolationMode.BICUBIC), v2.CenterCrop(size)]
        )

    def __len__(self) -> int:
        return len(self.files)

    def names(self) -> list[str]:
        """Paths of the images below their folder."""
        return [Path(path).relative_to(self.folder).as_posix() for path in self.files]

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """uint8 (3, size, size) and the class."""
        image: Image.Image = self.crop(read_image(self.files[index]))
        return pil_to_tensor(image), self.labels[index]


class RandomCrops(Dataset[tuple[Tensor, int]]):
    """Random crops of labelled images, mirrored or not, as linear classifiers are trained on.

    What torchvision's ``RandomResizedCrop`` and ``RandomHorizontalFlip`` draw, decided by seed,
    image and crop alone.

    Args:
        images: The images.
        count: Crops of each.
        seed: Of the draws.
    """

    def __init__(self, images: LabelledImages, count: int, seed: int = 0) -> None:
        self.images, self.seed = images, seed
        self.recipe = Recipe([View(images.size, CROP_AREA)] * count)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """uint8 (count, 3, size, size) and the class."""
        image = read_image(self.images.files[index])
        boxes, _ = self.recipe.draw((self.seed, index), image.height, image.width)
        size = (self.images.size, self.images.size)
        crops = [
            image.crop((left, top, left + width, top + height)).resize(
                size, Image.Resampling.BILINEAR
            )
            for top, left, height, width, _ in zip(*boxes, strict=True)
        ]
        turned = [
            crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else crop
            for crop, flip in zip(crops, boxes.flip, strict=True)
        ]
        return torch.stack([pil_to_tensor(crop) for crop in turned]), self.images.labels[index]


def class_of(path: str, folder: str) -> str:
    """Name of the first subfolder of ``folder`` on the way to ``path``."""
    parts = Path(path).relative_to(folder).parts
    if len(parts) < 2:
        raise InputError(f"{path} is in no class's folder; {folder}/CLASS/IMAGE is what is needed")
    return parts[0]


def classes_of(folder: str) -> list[str]:
    """Names of the subfolders that hold images, in sorted order.

    Raises:
        InputError: The folder does not exist, holds no image, or an image lies outside of them.
    """
    if not Path(folder).is_dir():
        raise InputError(f"the folder {folder} does not exist; give one of CLASS/IMAGE")
    return sorted({class_of(os.fsdecode(path), folder) for path in list_images(folder)})


def labelled_pair(train: str, val: str, size: int) -> tuple[LabelledImages, LabelledImages]:
    """Images that teach and images that are classified; the classes are those of ``train``."""
    classes = classes_of(train)
    if not Path(val).is_dir():
        raise InputError(f"the folder {val} does not exist; give one of CLASS/IMAGE")
    both = LabelledImages(train, classes, size), LabelledImages(val, classes, size)
    check_apart(*(map(Path, images.files) for images in both))
    return both


def check_apart(training: Iterable[Path], test: Iterable[Path]) -> None:
    """Refuse images that are learned from and tested on.

    Raises:
        InputError: Names one.
    """
    if twice := {path.resolve() for path in training} & {path.resolve() for path in test}:
        raise InputError(
            f"{min(twice)} is among the images that are learned from and among those that are"
            " tested on; take it out of one of them"
        )
