"""View -> maps and tokens: the ResNets of the methods that the paper compares with, and others."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torchvision import models

from selfpatch.errors import InputError
from selfpatch.models.vit import IMAGENET_MEAN, IMAGENET_STD

DEPTHS = (18, 34, 50, 101, 152)


class ResNet(nn.Module):
    """torchvision's ResNet without its classifier; weights keep torchvision's names.

    Args:
        depth: Number of layers, one of :data:`DEPTHS`.
        mean: Mean of the images it was trained on, see :class:`VisionTransformer`.
        std: Their standard deviation.

    Raises:
        InputError: Another depth was asked for.
    """

    num_prefix_tokens = 0
    patch_size = 32
    """Pixels per token of the last stage."""
    num_layers = 4
    layer_strides = (4, 8, 16, 32)
    correspondence_layer = 2
    """The third of four stages, as correspondence papers read a ResNet."""

    def __init__(
        self,
        *,
        depth: int = 50,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        if depth not in DEPTHS:
            raise InputError(f"there is no ResNet of {depth} layers, only of {DEPTHS}")
        self.architecture: dict[str, Any] = {
            "family": "resnet",
            "depth": depth,
            "mean": list(mean),
            "std": list(std),
        }
        self.mean, self.std = tuple(mean), tuple(std)
        resnet = getattr(models, f"resnet{depth}")()
        self.embed_dim = resnet.fc.in_features
        self.layer_dims = tuple(self.embed_dim // 2**stage for stage in (3, 2, 1, 0))
        self.conv1, self.bn1 = resnet.conv1, resnet.bn1
        self.norm = nn.Identity()
        self.relu, self.maxpool = resnet.relu, resnet.maxpool
        self.layer1, self.layer2 = resnet.layer1, resnet.layer2
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4

    @property
    def stages(self) -> tuple[nn.Sequential, ...]:
        """The four stages, each a sequence of residual blocks."""
        return self.layer1, self.layer2, self.layer3, self.layer4

    @property
    def blocks(self) -> list[nn.Module]:
        """The residual blocks of all stages."""
        return [block for stage in self.stages for block in stage]

    def grid(self, images: Tensor) -> tuple[int, int]:
        """(rows, columns) of the last stage's tokens for ``images`` (B, 3, H, W)."""
        height, width = images.shape[-2:]
        return -(-height // self.patch_size), -(-width // self.patch_size)

    def layer_maps(self, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """Images (B, 3, H, W) -> the map (B, layer_dims[i], rows, columns) after each stage asked.

        Stages are counted from 0, in rising order; those after the last one asked for do not run.
        """
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = []
        for index, stage in enumerate(self.stages[: max(indices) + 1]):
            x = stage(x)
            if index in indices:
                maps.append(x)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> last stage's tokens (B, rows * columns, D)."""
        (last,) = self.layer_maps(images, [3])
        return last.flatten(2).transpose(1, 2)
