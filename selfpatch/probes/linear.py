"""Frozen patches and label maps -> linear classifiers of pixels, and how well they segment.

The logits of a pixel are those of the patches around it, interpolated bilinearly: what enlarging
the map of logits to the size of the labels gives. Since a linear classifier and an interpolation
can change places, training interpolates the features of a few random pixels instead, and labels
never have to be shrunk.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm  # type: ignore[import-untyped]

from selfpatch.data.segmented import SegmentedImages
from selfpatch.errors import InputError
from selfpatch.probes.confusion import confusion, segmentation_metrics
from selfpatch.probes.segment import PatchFeatures, enlarged

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
"""Learning rates that are tried, all in one pass over the features."""


@dataclass(frozen=True)
class Training:
    """How the classifiers are trained.

    Attributes:
        rates: Learning rates, one classifier each.
        steps: Optimiser steps; the rate falls to 0 along a cosine.
        images: Images of a step.
        pixels: Labelled pixels of each of them.
        weight_decay: Of AdamW.
        held_out: Share of the training images that chooses the rate, and that no step sees.
        seed: Of all draws.
    """

    rates: Sequence[float] = RATES
    steps: int = 2000
    images: int = 16
    pixels: int = 1024
    weight_decay: float = 1e-4
    held_out: float = 0.1
    seed: int = 0


class Classifiers(torch.nn.Module):
    """R linear classifiers of the same features, normalised by fixed statistics.

    Args:
        mean: (D,), of the training patches.
        std: (D,), likewise.
        num_classifiers: R.
        num_classes: C.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor, num_classifiers: int, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std.clamp(min=1e-6))
        layers = [torch.nn.Linear(len(mean), num_classes) for _ in range(num_classifiers)]
        for layer in layers:
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, features: Tensor) -> list[Tensor]:
        """(P, D) -> R times logits (P, C)."""
        normalised = (features - self.mean) / self.std
        return [layer(normalised) for layer in self.layers]


def statistics(
    features: PatchFeatures, scenes: SegmentedImages, numbers: list[int], batch: int, workers: int
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of all patches of these images: (D,) each."""
    count = 0
    total = squares = torch.zeros((), dtype=torch.float64, device=features.device)
    for _, found in features.batches(scenes, numbers, batch, workers, "statistics"):
        own = found.double()
        count, total, squares = count + len(own), total + own.sum(0), squares + own.square().sum(0)
    mean = total / count
    return mean.float(), (squares / count - mean**2).clamp(min=0).sqrt().float()


def at_pixels(
    features: Tensor, grid: int, rows: Tensor, columns: Tensor, size: tuple[int, int]
) -> Tensor:
    """Features of an image's patches, interpolated bilinearly at pixels.

    Args:
        features: (N, D), of a square grid.
        grid: Patches to a side.
        rows: int64 (P,), pixels of a map of size ``size``.
        columns: Likewise.
        size: Height and width of the map that the grid is enlarged to.

    Returns:
        (P, D), as ``F.interpolate(mode="bilinear")`` gives them.
    """
    found = features.new_zeros(len(rows), features.shape[1])
    (top, bottom, down), (left, right, across) = (
        neighbours(at, side, grid) for at, side in ((rows, size[0]), (columns, size[1]))
    )
    for row, by_row in ((top, 1 - down), (bottom, down)):
        for column, by_column in ((left, 1 - across), (right, across)):
            found = found + (by_row * by_column)[:, None] * features[row * grid + column]
    return found


def neighbours(places: Tensor, side: int, grid: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels along a side -> the patches before and after each, and how far it is on its way."""
    position = ((places + 0.5) * (grid / side) - 0.5).clamp(min=0)
    before = position.long().clamp(max=grid - 1)
    return before, (before + 1).clamp(max=grid - 1), position - before


def split_off(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Numbers of the images that are trained on, and of those that are held out.

    Raises:
        InputError: There are too few to hold one out.
    """
    held = max(round(count * share), 1)
    if held >= count:
        raise InputError(f"{count} training images are too few to hold some out; give 2 or more")
    order = np.random.default_rng(seed).permutation(count).tolist()
    return sorted(order[held:]), sorted(order[:held])


def train(
    features: PatchFeatures, scenes: SegmentedImages, numbers: list[int], how: Training,
    batch: int = 16, workers: int = 0,
) -> Classifiers:  # fmt: skip
    """Train a classifier per learning rate on random pixels of these images."""
    mean, std = statistics(features, scenes, numbers, batch, workers)
    model = Classifiers(mean, std, len(how.rates), scenes.num_classes).to(features.device)
    groups = [
        {"params": layer.parameters(), "lr": rate}
        for layer, rate in zip(model.layers, how.rates, strict=True)
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=how.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, how.steps)
    generator = np.random.default_rng(how.seed)
    for _ in tqdm(range(how.steps), "training", unit="step", disable=None):
        chosen = generator.choice(numbers, how.images, replace=len(numbers) < how.images).tolist()
        drawn = [
            pixels_of(found, features.grid, scenes.labels(number), how.pixels, generator)
            for number, found in features.batches(scenes, chosen, batch, 0, "")
        ]
        points, classes = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        if len(points):
            losses = [F.cross_entropy(logits, classes) for logits in model(points)]
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            optimizer.step()
        schedule.step()
    return model


def pixels_of(
    features: Tensor, grid: int, labels: np.ndarray, count: int, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Random labelled pixels of an image: features (P, D) and classes int64 (P,); P may be 0."""
    rows, columns = np.nonzero(labels >= 0)
    drawn = generator.integers(0, len(rows), count) if len(rows) else np.zeros(0, dtype=np.int64)
    row, column = (torch.from_numpy(at[drawn]).to(features.device) for at in (rows, columns))
    classes = torch.from_numpy(labels[rows[drawn], columns[drawn]]).to(features.device)
    height, width = labels.shape
    return at_pixels(features, grid, row, column, (height, width)), classes


@torch.no_grad()
def segmented(
    features: PatchFeatures, model: Classifiers, scenes: SegmentedImages, numbers: list[int],
    batch: int = 16, workers: int = 0,
) -> list[Tensor]:  # fmt: skip
    """The confusion matrix int64 (C, C) of each classifier on these images.

    Maps of logits are enlarged bilinearly to the size of the label map as it is stored.
    """
    matrices = [
        torch.zeros(scenes.num_classes, scenes.num_classes, dtype=torch.int64) for _ in model.layers
    ]
    for number, found in features.batches(scenes, numbers, batch, workers, "images"):
        labels = torch.from_numpy(scenes.labels(number))
        for matrix, logits in zip(matrices, model(found), strict=True):
            chosen = enlarged(logits, features.grid, labels.shape)
            matrix += confusion(chosen, labels, len(matrix))
    return matrices


def linear_segmentation(
    features: PatchFeatures, training: SegmentedImages, validation: SegmentedImages, how: Training,
    batch: int = 16, workers: int = 0,
) -> tuple[dict[str, float | None], float]:  # fmt: skip
    """Metrics of the classifier that is best on held-out training images, and its learning rate.

    Raises:
        InputError: There are too few training images to hold one out.
    """
    seen, held_out = split_off(len(training), how.held_out, how.seed)
    model = train(features, training, seen, how, batch, workers)
    chances = [
        segmentation_metrics(matrix)["mIoU"] or 0.0
        for matrix in segmented(features, model, training, held_out, batch, workers)
    ]
    best = int(np.argmax(chances))
    model.layers = torch.nn.ModuleList([model.layers[best]])
    everything = list(range(len(validation)))
    (matrix,) = segmented(features, model, validation, everything, batch, workers)
    return segmentation_metrics(matrix), how.rates[best]
