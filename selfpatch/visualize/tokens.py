"""Image -> a map of tokens -> what a patch resembles, and the tokens as colours."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from selfpatch.models.trunks import Trunk
from selfpatch.visualize.attention import Patch


def to_input(image: Image.Image, trunk: Trunk, long_side: int) -> Tensor:
    """Scale an image to whole patches and normalise it as the trunk takes it.

    Args:
        image: Any RGB image.
        trunk: Says patch size, mean and standard deviation.
        long_side: Long side of the result, about, in pixels.

    Returns:
        (3, H, W).
    """
    factor, patch = long_side / max(image.size), trunk.patch_size
    width, height = (max(patch, round(side * factor / patch) * patch) for side in image.size)
    scaled = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(scaled)).permute(2, 0, 1) / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (trunk.mean, trunk.std))
    return (pixels - mean) / std


@torch.no_grad()
def token_map(trunk: Trunk, image: Tensor) -> Tensor:
    """The tokens of an image (3, H, W) as tracking compares them: (rows, columns, D).

    They are those after a ViT's last block, before any final norm, and after the third stage of a
    Swin or ResNet.
    """
    (tokens,) = trunk.layer_maps(image[None], [trunk.correspondence_layer])
    return tokens[0].permute(1, 2, 0)


def similarity(tokens: Tensor, patch: Patch) -> Tensor:
    """Cosine similarity of one token of a map to every one: (rows, columns) in [-1, 1]."""
    units = F.normalize(tokens, dim=-1)
    return units @ units[patch]


def token_colors(maps: Sequence[Tensor]) -> list[np.ndarray]:
    """The three main directions of all tokens as red, green and blue.

    A token's length does not count, as it does not for its similarity. One principal component
    analysis is fitted over all maps, so that a colour means the same in all of them; a component
    points to where its largest coefficient is positive. Each of the three goes from 0 to 255
    between its 2nd and its 98th percentile.

    Args:
        maps: Tokens (rows, columns, D) of one backbone; grids may differ.

    Returns:
        uint8 (rows, columns, 3) of each map.
    """
    units = [F.normalize(tokens.double(), dim=-1).flatten(0, 1) for tokens in maps]
    values = principal_components(torch.cat(units), count=3)
    low, high = torch.quantile(values, torch.tensor([0.02, 0.98], dtype=values.dtype), dim=0)
    scaled = ((values - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    colors = (255 * scaled).round().to(torch.uint8).split([len(part) for part in units])
    return [
        part.reshape(*tokens.shape[:2], 3).numpy()
        for part, tokens in zip(colors, maps, strict=True)
    ]


def principal_components(tokens: Tensor, count: int) -> Tensor:
    """Tokens (N, D) -> their coordinates (N, count) along the directions of greatest variance.

    Exact: the eigenvectors of the covariance. Directions beyond D or without variance give zeros.
    """
    centered = tokens - tokens.mean(dim=0)
    _, vectors = torch.linalg.eigh(centered.T @ centered)
    main = vectors.flip(1)[:, :count]
    largest = main.gather(0, main.abs().argmax(dim=0, keepdim=True))
    found = centered @ (main * largest.sign())
    return F.pad(found, (0, count - found.shape[1]))
