"""Images with label maps -> a bank of patches -> how well it segments other images."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2.functional import pil_to_tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from selfpatch.data.segmented import SegmentedImages
from selfpatch.errors import InputError
from selfpatch.models.trunks import Trunk
from selfpatch.probes.confusion import confusion
from selfpatch.probes.in_context import Bank, joined, read_out, shares_of, without_zeros


class Squares(Dataset[tuple[Tensor, int]]):
    """Images squeezed to a square, as in-context segmentation reads them.

    Args:
        scenes: The images.
        size: Side of the square, in pixels.
        numbers: Which of them.
    """

    def __init__(self, scenes: SegmentedImages, size: int, numbers: list[int]) -> None:
        self.scenes, self.size, self.numbers = scenes, size, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """uint8 (3, size, size), and the number of the image."""
        number = self.numbers[index]
        image = self.scenes.image(number)
        squeezed = image.resize((self.size, self.size), Image.Resampling.BILINEAR)
        return pil_to_tensor(squeezed), number


def squeezed_labels(labels: np.ndarray, size: int) -> Tensor:
    """A label map (H, W) at the size of its image's square, by the nearest pixel: (size, size)."""
    nearest = F.interpolate(
        torch.from_numpy(labels)[None, None].float(), size, mode="nearest-exact"
    )
    return nearest[0, 0].long()


class PatchFeatures:
    """A trunk that gives the features of the patches of an image's square.

    Args:
        trunk: The trunk, in evaluation mode.
        device: Where it is.
        size: Side of the square, in pixels.

    Raises:
        InputError: The square is not made of whole patches.
    """

    def __init__(self, trunk: Trunk, device: str, size: int) -> None:
        if size % trunk.patch_size:
            raise InputError(
                f"images of {size} pixels are not made of whole patches of {trunk.patch_size};"
                f" give --size {size // trunk.patch_size * trunk.patch_size or trunk.patch_size}"
            )
        self.trunk, self.device, self.size = trunk, device, size
        self.mean, self.std = (
            255 * torch.tensor(values, device=device).view(3, 1, 1)
            for values in (trunk.mean, trunk.std)
        )

    @property
    def grid(self) -> int:
        """Patches to a side."""
        return self.size // self.trunk.patch_size

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, size, size) -> the last tokens behind the trunk's norm, fp32 (B, N, D)."""
        normalised = (images.to(self.device).float() - self.mean) / self.std
        tokens = self.trunk(normalised)[:, self.trunk.num_prefix_tokens :]
        features: Tensor = self.trunk.norm(tokens).float()
        return features

    def batches(
        self, scenes: SegmentedImages, numbers: list[int], batch: int, workers: int, name: str
    ) -> Iterator[tuple[int, Tensor]]:
        """The features (N, D) of each of these images, with its number; ``name`` is its bar's."""
        loader = DataLoader(Squares(scenes, self.size, numbers), batch, num_workers=workers)
        for images, of in tqdm(loader, name, unit="batch", disable=None if name else True):
            yield from zip(of.tolist(), self(images), strict=True)


@torch.no_grad()
def build_bank(
    features: PatchFeatures,
    scenes: SegmentedImages,
    size: int,
    seed: int = 0,
    batch: int = 16,
    workers: int = 0,
    half: bool = False,
) -> Bank:
    """Patches of all images with their labels, the same number of each.

    Patches of classes that are rare in their image come first, as in the paper: each class that a
    patch holds adds the number of the image's patches that hold it, times a number drawn from 0 to
    1 for the patch, and the patches of the least sums are taken.

    Args:
        features: The trunk.
        scenes: Training images.
        size: Patches of the whole bank.
        seed: Of the draws, which depend on it and on the number of the image alone.
        batch: Images per forward pass.
        workers: Processes that read images.
        half: Keep the features in half precision.

    Raises:
        InputError: The bank would hold less than one patch of each image, or does not fit into
            memory, or nothing is labelled.
    """
    each = min(size // len(scenes), features.grid**2)
    if each == 0:
        raise InputError(
            f"a bank of {size} patches holds none of most of the {len(scenes)} images;"
            f" give --bank {len(scenes)} or more"
        )
    rows, width = each * len(scenes), features.trunk.embed_dim
    check_memory(rows, width * (2 if half else 4), features.device)
    # Made at once: a bank that is put together from parts needs their memory, too.
    vectors = torch.empty(
        rows, width, dtype=torch.float16 if half else torch.float32, device=features.device
    )
    shares = []
    numbers = list(range(len(scenes)))
    for number, found in features.batches(scenes, numbers, batch, workers, "bank"):
        labels = squeezed_labels(scenes.labels(number), features.size)
        of_image = shares_of(labels[None], features.trunk.patch_size, scenes.num_classes)[0]
        kept = sample(of_image, each, np.random.default_rng((seed, number)))
        chosen = F.normalize(found[kept.to(found.device)], dim=-1)
        vectors[number * each : (number + 1) * each] = chosen
        shares.append(without_zeros(of_image[kept]))
    bank = Bank(vectors, joined(shares)).to(features.device)
    if not len(bank.shares.shares):
        raise InputError("no pixel of the training images' maps is labelled; look at the maps")
    return bank


def check_memory(rows: int, row_bytes: int, device: str) -> None:
    """Refuse a bank that does not fit into the memory of its device.

    Raises:
        InputError: Says how large a bank fits.
    """
    free = available_memory(device)
    if rows * row_bytes > free:
        raise InputError(
            f"a bank of {rows:,} patches takes {rows * row_bytes / 2**30:.1f} GiB, and {device} has"
            f" {free / 2**30:.1f} GiB left; give --bank {free * 9 // 10 // row_bytes} or less, or"
            " --half"
        )


def available_memory(device: str) -> int:
    """Bytes that can still be had on a device."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(
            next(line for line in lines if line.startswith("MemAvailable")).split()[1]
        )
    except (OSError, StopIteration):  # elsewhere than on Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def sample(shares: Tensor, count: int, generator: np.random.Generator) -> Tensor:
    """Numbers of ``count`` of the patches (N, C), see :func:`build_bank`: int64."""
    there = (shares > 0).float()
    frequency = there @ there.sum(0)
    drawn = torch.from_numpy(generator.random(len(shares), dtype=np.float32))
    score = torch.where(frequency > 0, frequency * drawn, torch.inf)  # unlabelled ones come last
    return score.argsort(stable=True)[:count].sort().values


@torch.no_grad()
def segment(
    features: PatchFeatures,
    bank: Bank,
    scenes: SegmentedImages,
    batch: int = 16,
    workers: int = 0,
) -> Tensor:
    """The confusion matrix int64 (C, C) of images segmented by a bank.

    The shares of the patches are enlarged bilinearly to the size of the label map as it is stored,
    where each pixel takes the class of the greatest.
    """
    numbers = list(range(len(scenes)))
    matrix = torch.zeros(scenes.num_classes, scenes.num_classes, dtype=torch.int64)
    for number, found in features.batches(scenes, numbers, batch, workers, "images"):
        shares = read_out(found, bank, scenes.num_classes)
        present = shares.any(0)
        present[0] |= ~present.any()  # the other classes are 0 everywhere
        classes = present.nonzero()[:, 0].cpu()
        labels = torch.from_numpy(scenes.labels(number))
        chosen = classes[enlarged(shares[:, present], features.grid, labels.shape)]
        matrix += confusion(chosen, labels, len(matrix))
    return matrix


CLASSES_AT_ONCE = 16
"""Maps that are enlarged at once: of a large image those of all classes would take gigabytes."""


def enlarged(scores: Tensor, grid: int, size: tuple[int, ...]) -> Tensor:
    """Scores (N, C) of a square grid -> the class of the greatest at each pixel of a map: (H, W).

    Args:
        scores: Shares or logits.
        grid: Patches to a side.
        size: Height and width of the map, to which the grid is enlarged bilinearly.

    Returns:
        int64 (H, W), on the CPU; of equal scores the lowest class.
    """
    maps = scores.T.unflatten(1, (grid, grid))[None]
    greatest = maps.new_full(tuple(size), float("-inf"))
    classes = torch.zeros_like(greatest, dtype=torch.int64)
    for first in range(0, maps.shape[1], CLASSES_AT_ONCE):
        part = maps[:, first : first + CLASSES_AT_ONCE]
        values, index = F.interpolate(part, tuple(size), mode="bilinear")[0].max(0)
        classes = torch.where(values > greatest, index + first, classes)
        greatest = torch.maximum(greatest, values)
    return classes.cpu()
