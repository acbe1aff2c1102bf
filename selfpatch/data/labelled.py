"""Folder per class -> labelled images, resized and cropped as for evaluation."""

from pathlib import Path

from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2.functional import pil_to_tensor

from selfpatch.data.images import list_images, read_image
from selfpatch.errors import InputError


class LabelledImages(Dataset[tuple[Tensor, int]]):
    """Images with the number of their class, which is the folder they lie in.

    Args:
        folder: One subfolder of images per class.
        classes: The classes in order.
        size: Side of the centre crop; the short side is resized to 8/7 of it first, as usual
            on ImageNet.
    """

    def __init__(self, folder: str, classes: list[str], size: int) -> None:
        self.files = [path.decode() for path in list_images(folder)]
        numbers = {name: number for number, name in enumerate(classes)}
        names = [class_of(path, folder) for path in self.files]
        unknown = sorted({name for name in names if name not in numbers})
        if unknown:
            raise InputError(f"{folder} has classes without training images: {', '.join(unknown)}")
        self.labels = [numbers[name] for name in names]
        self.crop = v2.Compose(
            [v2.Resize(size * 8 // 7, InterpolationMode.BICUBIC), v2.CenterCrop(size)]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """uint8 (3, size, size) and the class."""
        image: Image.Image = self.crop(read_image(self.files[index]))
        return pil_to_tensor(image), self.labels[index]


def class_of(path: str, folder: str) -> str:
    """Name of the first subfolder of ``folder`` on the way to ``path``."""
    parts = Path(path).relative_to(folder).parts
    if len(parts) < 2:
        raise InputError(f"{path} is in no class's folder; k-NN needs {folder}/CLASS/IMAGE")
    return parts[0]


def labelled_pair(train: str, val: str, size: int) -> tuple[LabelledImages, LabelledImages]:
    """Images that vote and images that are classified; the classes are those of ``train``."""
    classes = sorted({class_of(path.decode(), train) for path in list_images(train)})
    return LabelledImages(train, classes, size), LabelledImages(val, classes, size)
