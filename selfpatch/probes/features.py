"""Images and a frozen trunk -> the features of their patches."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2.functional import pil_to_tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from selfpatch.errors import InputError
from selfpatch.models.distributed import rank
from selfpatch.models.trunks import Trunk


class Images(Protocol):
    """Images by their number.

    Attributes:
        files: Their files.
    """

    @property
    def files(self) -> Sequence[Path]:
        """Their files."""

    def image(self, number: int, /) -> Image.Image:
        """An image as RGB."""


class LabelledPixels(Images, Protocol):
    """Images each of whose pixels has a label: a class, or a depth in millimetres."""

    def labels(self, number: int, /) -> np.ndarray:
        """The label of each pixel, below 0 where there is none: int64 (H, W)."""


class Squares(Dataset[Tensor]):
    """Images squeezed to a square, as probes read them.

    Args:
        images: The images.
        size: Side of the square, in pixels.
    """

    def __init__(self, images: Images, size: int) -> None:
        self.images, self.size = images, size

    def __len__(self) -> int:
        return len(self.images.files)

    def __getitem__(self, number: int) -> Tensor:
        """uint8 (3, size, size)."""
        image = self.images.image(number)
        return pil_to_tensor(image.resize((self.size, self.size), Image.Resampling.BILINEAR))


class PatchFeatures:
    """A trunk that gives the features of the patches of an image's square.

    Args:
        trunk: The trunk, in evaluation mode.
        device: Where it is.
        size: Side of the square, in pixels.
        layer: Block of a ViT, or stage of a Swin or ResNet, counted from 1, whose output is taken
            as it is; None is the last one, behind the trunk's norm.
        half: Round the features to half precision.

    Raises:
        InputError: The square is not made of whole patches, or there is no such layer.
    """

    def __init__(
        self, trunk: Trunk, device: str, size: int, layer: int | None = None, half: bool = False
    ) -> None:
        if layer is not None and not 1 <= layer <= trunk.num_layers:
            raise InputError(
                f"the backbone has layers 1 to {trunk.num_layers}; --layer {layer} is none of them"
            )
        self.patch_size = trunk.patch_size if layer is None else trunk.layer_strides[layer - 1]
        self.width = trunk.embed_dim if layer is None else trunk.layer_dims[layer - 1]
        if size % trunk.patch_size:
            raise InputError(
                f"images of {size} pixels are not made of whole patches of {trunk.patch_size};"
                f" give --size {size // trunk.patch_size * trunk.patch_size or trunk.patch_size}"
            )
        self.trunk, self.device, self.size = trunk, device, size
        self.layer, self.half = layer, half
        self.mean, self.std = (
            255 * torch.tensor(values, device=device).view(3, 1, 1)
            for values in (trunk.mean, trunk.std)
        )

    @property
    def grid(self) -> int:
        """Patches to a side of the square."""
        return self.size // self.patch_size

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (B, 3, H, W), of whole patches -> fp32 (B, N, D), patches in row-major order."""
        normalised = (images.to(self.device).float() - self.mean) / self.std
        if self.layer is None:
            tokens = self.trunk.norm(self.trunk(normalised)[:, self.trunk.num_prefix_tokens :])
        else:
            (maps,) = self.trunk.layer_maps(normalised, [self.layer - 1])
            tokens = maps.flatten(2).transpose(1, 2)
        features: Tensor = tokens.half().float() if self.half else tokens.float()
        return features

    def items(self, images: Images) -> Dataset[Tensor]:
        """What :meth:`read` takes, by the number of the image; processes may read them."""
        return Squares(images, self.size)

    def read(self, items: Tensor) -> Tensor:
        """A batch of :meth:`items` -> features fp32 (B, N, D)."""
        return self(items)

    def batches(
        self, images: Images, numbers: Sequence[int], batch: int, workers: int, name: str
    ) -> Iterator[tuple[int, Tensor]]:
        """The features (N, D) of each of these images, with its number; ``name`` is its bar's."""
        loader: DataLoader[Tensor] = DataLoader(
            self.items(images), batch, sampler=numbers, num_workers=workers
        )
        left = iter(numbers)
        for items in tqdm(loader, name, unit="batch", disable=None if rank() == 0 else True):
            yield from zip(islice(left, len(items)), self.read(items), strict=True)
