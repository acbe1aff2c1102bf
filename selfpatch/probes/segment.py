"""A bank of labelled patches -> how well it segments images."""

import torch
import torch.nn.functional as F
from torch import Tensor

from selfpatch.data.segmented import SegmentedImages
from selfpatch.models.distributed import own_share, sum_over_processes
from selfpatch.probes.confusion import confusion
from selfpatch.probes.features import PatchFeatures
from selfpatch.probes.in_context import Bank, read_out


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
    where each pixel takes the class of the greatest. Several processes share the images.
    """
    matrix = torch.zeros(scenes.num_classes, scenes.num_classes, dtype=torch.int64)
    own = own_share(range(len(scenes)))
    for number, found in features.batches(scenes, own, batch, workers, "images"):
        shares = read_out(found, bank, scenes.num_classes)
        present = shares.any(0)
        present[0] |= ~present.any()  # the other classes are 0 everywhere
        classes = present.nonzero()[:, 0].cpu()
        labels = torch.from_numpy(scenes.labels(number))
        chosen = classes[enlarged(shares[:, present], features.grid, labels.shape)]
        matrix += confusion(chosen, labels, len(matrix))
    return sum_over_processes(matrix.to(features.device)).cpu()


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
