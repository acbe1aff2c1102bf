"""Frozen patches and label maps -> linear classifiers of pixels, and how well they segment.

The logits of a pixel are those of the patches around it, interpolated bilinearly: what enlarging
the map of logits to the size of the labels gives. Since a linear classifier and an interpolation
can change places, training interpolates the features of a few random pixels instead, and labels
never have to be shrunk.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm  # type: ignore[import-untyped]

from selfpatch.data.segmented import UNLABELLED, SegmentedImages
from selfpatch.errors import InputError
from selfpatch.models.distributed import (
    is_distributed,
    own_share,
    rank,
    sum_over_processes,
    world_size,
)
from selfpatch.probes.confusion import confusion, segmentation_metrics
from selfpatch.probes.features import Images, LabelledPixels, PatchFeatures
from selfpatch.probes.pixels import at_pixels
from selfpatch.probes.segment import enlarged

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
    features: PatchFeatures, images: Images, numbers: list[int], batch: int, workers: int
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of all patches of these images: (D,) each."""
    sums = torch.zeros(2, features.width, dtype=torch.float64, device=features.device)
    own_numbers = own_share(numbers)
    for _, found in features.batches(images, own_numbers, batch, workers, "statistics"):
        own = found.double()
        sums += torch.stack([own.sum(0), own.square().sum(0)])
    mean, square = sum_over_processes(sums) / (len(numbers) * features.grid**2)
    return mean.float(), (square - mean**2).clamp(min=0).sqrt().float()


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


class Drawn(Dataset[tuple[Tensor, ...]]):
    """Random labelled pixels of one image after the other: all that training reads, in order.

    Args:
        items: What features are read from, by the number of the image.
        images: The images.
        order: Numbers of the images.
        count: Pixels of each.
        seed: Of the draws, which depend on it and on the place in the order alone.
    """

    def __init__(
        self,
        items: Dataset[Tensor],
        images: LabelledPixels,
        order: Sequence[int],
        count: int,
        seed: int,
    ) -> None:
        self.items, self.images, self.order = items, images, order
        self.count, self.seed = count, seed

    def __getitem__(self, place: int) -> tuple[Tensor, ...]:
        """The item; height and width of the map; rows, columns and labels of pixels, (P,) each.

        All labels are :data:`UNLABELLED` where no pixel is labelled.
        """
        number = self.order[place]
        labels = self.images.labels(number)
        labelled = np.flatnonzero(labels >= 0)
        drawn = np.random.default_rng((self.seed, place)).integers(
            0, max(len(labelled), 1), self.count
        )
        pixels = labelled[drawn] if len(labelled) else np.zeros(self.count, dtype=np.int64)
        rows, columns = np.unravel_index(pixels, labels.shape)
        parts = (np.array(labels.shape), rows, columns, labels.flat[pixels])
        return self.items[number], *map(torch.from_numpy, parts)


class Step(NamedTuple):
    """What an optimiser step, or this process' part of it, is trained on: B images, P pixels each.

    Attributes:
        found: Features (B, N, D).
        sizes: Height and width of each map.
        rows: int64 (B, P).
        columns: int64 (B, P).
        labels: int64 (B, P), all of an image :data:`UNLABELLED` where none of its pixels has one.
    """

    found: Tensor
    sizes: list[tuple[int, int]]
    rows: Tensor
    columns: Tensor
    labels: Tensor


Losses = Callable[[torch.nn.Module, int, Step], tuple[Tensor, Tensor]]
"""Model, patches to a side and step -> each classifier's losses summed (R,), and their number."""


def classification(model: torch.nn.Module, grid: int, step: Step) -> tuple[Tensor, Tensor]:
    """Cross entropies of the labelled pixels, whose features are interpolated."""
    points = [
        at_pixels(found, grid, row, column, size)
        for found, size, row, column in zip(
            step.found, step.sizes, step.rows, step.columns, strict=True
        )
    ]
    target = step.labels.flatten()
    losses = [
        F.cross_entropy(logits, target, ignore_index=UNLABELLED, reduction="sum")
        for logits in model(torch.cat(points))
    ]
    return torch.stack(losses), (target != UNLABELLED).sum()


def train(
    features: PatchFeatures, scenes: SegmentedImages, numbers: list[int], how: Training,
    batch: int = 16, workers: int = 0,
) -> Classifiers:  # fmt: skip
    """Train a classifier per learning rate on random pixels of these images.

    Raises:
        InputError: There are more processes than images in a step.
    """
    mean, std = statistics(features, scenes, numbers, batch, workers)
    model = Classifiers(mean, std, len(how.rates), scenes.num_classes).to(features.device)
    fit(model, classification, features, scenes, numbers, how, workers)
    return model


def fit(
    model: Classifiers, losses: Losses, features: PatchFeatures, images: LabelledPixels,
    numbers: list[int], how: Training, workers: int = 0,
) -> None:  # fmt: skip
    """Train classifiers, each at its own rate, on random pixels of these images.

    Raises:
        InputError: There are more processes than images in a step.
    """
    if world_size() > how.images:
        raise InputError(
            f"{world_size()} processes cannot share the {how.images} images of a step; start fewer"
        )
    groups = [
        {"params": layer.parameters(), "lr": rate}
        for layer, rate in zip(model.layers, how.rates, strict=True)
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=how.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, how.steps)
    spread = DistributedDataParallel(model) if is_distributed() else model
    generator = np.random.default_rng(how.seed)
    order = [
        generator.choice(numbers, how.images, replace=len(numbers) < how.images)
        for _ in range(how.steps)
    ]
    drawn = Drawn(
        features.items(images), images, np.concatenate(order).tolist(), how.pixels, how.seed
    )
    steps = [
        list(own_share(range(first, first + how.images)))
        for first in range(0, len(drawn.order), how.images)
    ]
    loader: DataLoader[Any] = DataLoader(drawn, batch_sampler=steps, num_workers=workers)
    quiet = None if rank() == 0 else True
    for items, sizes, *pixels in tqdm(loader, "training", unit="step", disable=quiet):
        step = Step(
            features.read(items), sizes.tolist(), *(part.to(features.device) for part in pixels)
        )
        sums, count = losses(spread, features.grid, step)
        optimizer.zero_grad()
        # Processes average their gradients; the mean is over the losses of all.
        (sums.sum() * world_size() / sum_over_processes(count).clamp(min=1)).backward()
        optimizer.step()
        schedule.step()


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
    own = own_share(numbers)
    for number, found in features.batches(scenes, own, batch, workers, "images"):
        labels = torch.from_numpy(scenes.labels(number))
        for matrix, logits in zip(matrices, model(found), strict=True):
            chosen = enlarged(logits, features.grid, labels.shape)
            matrix += confusion(chosen, labels, len(matrix))
    return [sum_over_processes(matrix.to(features.device)).cpu() for matrix in matrices]


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
