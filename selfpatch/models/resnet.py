"""View -> maps and tokens: the ResNet-50 of the methods that the paper compares with."""

from typing import Any

from torch import Tensor, nn
from torchvision.models import resnet50


class ResNet(nn.Module):
    """torchvision's ResNet-50 without its classifier; weights keep torchvision's names."""

    num_prefix_tokens = 0
    patch_size = 32
    """Pixels per token of the last stage."""
    embed_dim = 2048
    stage_strides = (4, 8, 16, 32)
    stage_dims = (256, 512, 1024, 2048)

    def __init__(self) -> None:
        super().__init__()
        self.architecture: dict[str, Any] = {"family": "resnet", "depth": 50}
        resnet = resnet50()
        self.conv1, self.bn1 = resnet.conv1, resnet.bn1
        self.norm = nn.Identity()
        self.relu, self.maxpool = resnet.relu, resnet.maxpool
        self.layer1, self.layer2 = resnet.layer1, resnet.layer2
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4

    def grid(self, images: Tensor) -> tuple[int, int]:
        """(rows, columns) of the last stage's tokens for ``images`` (B, 3, H, W)."""
        height, width = images.shape[-2:]
        return -(-height // self.patch_size), -(-width // self.patch_size)

    def stages(self, images: Tensor) -> list[Tensor]:
        """Images (B, 3, H, W) -> the map (B, stage_dims[i], rows, columns) after each stage."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> last stage's tokens (B, rows * columns, 2048)."""
        return self.stages(images)[-1].flatten(2).transpose(1, 2)
