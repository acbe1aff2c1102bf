"""What the writers of ResNets share: tokens of the last stage, and scripts that convert files."""

import contextlib
import io
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tests.published import fill, pattern

SIZES = [(32, 32), (40, 32)]
"""Of images: 2048 channels make more tokens a large file; 40 is no multiple of the stride."""

TORCHVISION = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]
"""The parts of torchvision's ResNet up to its last map, in the order in which they are called."""


def flat(feature_map: Tensor) -> Tensor:
    """A map (B, C, H, W) -> tokens (B, H * W, C)."""
    return feature_map.flatten(2).transpose(1, 2)


def last_stage(model: Any) -> Callable[[Tensor], Tensor]:
    """The tokens of the last stage of torchvision's ResNet, or of one that is made the same way."""
    model.eval()
    stages = nn.Sequential(*(getattr(model, name) for name in TORCHVISION))
    return lambda images: flat(stages(images))


def parameters_of(model: Any) -> int:
    """How many parameters the stem and the four stages have."""
    return sum(p.numel() for name in TORCHVISION for p in getattr(model, name).parameters())


@torch.no_grad()
def fill_both(model: Any) -> None:
    """Draw both encoders, the second half as large, and the queues of MoCo or its descendants."""
    model.requires_grad_(True)
    fill(model)
    for parameter in model.encoder_k.parameters():
        parameter.mul_(0.5)
    for name, buffer in model.named_buffers():
        if name in ("queue", "queue2"):
            buffer.copy_(pattern(3, buffer.numel()).view(buffer.shape))


def converted(script: Path, source: Path, target: Path) -> None:
    """Run an author's script that takes two paths, without what it prints."""
    before, sys.argv = sys.argv, [script.name, str(source), str(target)]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv = before
