"""Images with boxes -> how often the box of one discovered object is right: CorLoc."""

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2.functional import pil_to_tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from selfpatch.data.boxes import Box, BoxedImages
from selfpatch.errors import InputError
from selfpatch.models.distributed import own_share, rank, sum_over_processes
from selfpatch.models.keys import last_keys
from selfpatch.models.trunks import Trunk
from selfpatch.models.vit import VisionTransformer
from selfpatch.probes.discovery import lost, tokencut

METHODS: dict[str, Callable[[Tensor, tuple[int, int]], Box]] = {"LOST": lost, "TokenCut": tokencut}
"""Name -> what finds the box of an object, in patches, by their keys."""

LEAST_IOU = 0.5
"""From which overlap on a box is right."""

MOST_PATCHES = 2**14
"""Of an image: more of them have too many pairs."""


class WholeImages(Dataset[Tensor]):
    """Images at their own size, each alone.

    Args:
        images: The images.
    """

    def __init__(self, images: BoxedImages) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> Tensor:
        """uint8 (3, H, W)."""
        return pil_to_tensor(self.images.image(number))


class Keys:
    """A ViT that gives the keys of the patches of whole images.

    Args:
        trunk: The trunk, in evaluation mode.
        device: Where it is.

    Raises:
        InputError: It is no ViT of this suite.
    """

    def __init__(self, trunk: Trunk, device: str) -> None:
        if not isinstance(trunk, VisionTransformer):
            raise InputError(
                f"objects are discovered by the keys of a ViT's last block; a"
                f" {trunk.architecture['family']} backbone has none, give one of a ViT"
            )
        self.vit, self.device = trunk, device
        self.mean, self.std = (
            255 * torch.tensor(values, device=device).view(3, 1, 1)
            for values in (trunk.mean, trunk.std)
        )

    @torch.no_grad()
    def __call__(self, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """uint8 (3, H, W) -> keys fp32 (N, D), and the grid (rows, columns).

        Patches that reach over the border, to the right and at the bottom, see zeros there.
        """
        normalised = (image.to(self.device).float() - self.mean) / self.std
        down, across = (-side % self.vit.patch_size for side in image.shape[1:])
        padded = F.pad(normalised, (0, across, 0, down))[None]
        return last_keys(self.vit, padded)[0].float(), self.vit.grid(padded)

    def batches(
        self, images: BoxedImages, numbers: Sequence[int], workers: int
    ) -> Iterator[tuple[int, tuple[int, int], Tensor, tuple[int, int]]]:
        """Number, height and width, keys and grid of each of these images.

        Raises:
            InputError: An image is too large.
        """
        loader: DataLoader[Tensor] = DataLoader(
            WholeImages(images), batch_size=None, sampler=numbers, num_workers=workers
        )
        quiet = None if rank() == 0 else True
        read = zip(numbers, loader, strict=True)
        for number, image in tqdm(read, "images", len(numbers), unit="image", disable=quiet):
            height, width = image.shape[1:]
            if height * width > MOST_PATCHES * self.vit.patch_size**2:
                raise InputError(
                    f"{images.files[number]} is {width}x{height}, more than {MOST_PATCHES:,}"
                    " patches; scale it and its boxes down"
                )
            yield number, (height, width), *self(image)


def discovered(keys: Keys, images: BoxedImages, workers: int = 0) -> dict[str, float]:
    """CorLoc of every method: the share of images whose box is right, in percent.

    Several processes share the images.

    Args:
        keys: The trunk.
        images: The images.
        workers: Processes that read images.
    """
    right = torch.zeros(len(METHODS), device=keys.device)
    own = own_share(range(len(images)))
    for number, (height, width), found, grid in keys.batches(images, own, workers):
        for place, method in enumerate(METHODS.values()):
            left, top, *ends = (side * keys.vit.patch_size for side in method(found, grid))
            box = (left, top, min(ends[0], width), min(ends[1], height))
            right[place] += is_right(box, images.boxes[number])
    shares = 100 * sum_over_processes(right) / len(images)
    return dict(zip(METHODS, shares.tolist(), strict=True))


def is_right(box: Box, truth: Sequence[Box]) -> bool:
    """Whether the IoU with any of the true boxes is :data:`LEAST_IOU` or more."""
    return any(iou(box, other) >= LEAST_IOU for other in truth)


def iou(one: Box, other: Box) -> float:
    """Area that two boxes share, over that of both."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / max(sum(areas) - shared, 1)
