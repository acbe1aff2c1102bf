"""Images with label maps -> a bank of their patches."""

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from selfpatch.data.segmented import SegmentedImages
from selfpatch.errors import InputError
from selfpatch.models.distributed import is_distributed, own_share
from selfpatch.probes.features import LabelledPixels, PatchFeatures
from selfpatch.probes.in_context import (
    PART,
    Bank,
    Shares,
    joined,
    nearest,
    shares_of,
    without_zeros,
)
from selfpatch.probes.memory import available_memory

EXCHANGED = 2**18
"""Rows of a bank that processes exchange at once."""


def squeezed_labels(labels: np.ndarray, size: int) -> Tensor:
    """A label map (H, W) at the size of its image's square, by the nearest pixel: (size, size)."""
    nearest_ones = F.interpolate(
        torch.from_numpy(labels)[None, None].float(), size, mode="nearest-exact"
    )
    return nearest_ones[0, 0].long()


def build_bank(
    features: PatchFeatures,
    scenes: SegmentedImages,
    size: int,
    seed: int = 0,
    batch: int = 16,
    workers: int = 0,
) -> Bank:
    """A bank of patches with the shares of classes in them, see :func:`bank_of`."""

    def shares(labels: Tensor) -> Tensor:
        return shares_of(labels[None], features.patch_size, scenes.num_classes)[0]

    return bank_of(features, scenes, shares, size, seed, batch, workers)


@torch.no_grad()
def bank_of(
    features: PatchFeatures,
    images: LabelledPixels,
    shares_in: Callable[[Tensor], Tensor],
    size: int,
    seed: int = 0,
    batch: int = 16,
    workers: int = 0,
) -> Bank:
    """Patches of all images with their labels, the same number of each.

    Patches of classes that are rare in their image come first, as in the paper: each class that a
    patch holds adds the number of the image's patches that hold it, times a number drawn from 0 to
    1 for the patch, and the patches of the least sums are taken. Several processes share the work,
    and each has the whole bank then.

    Args:
        features: The trunk; where it gives half precision, so does the bank.
        images: Training images.
        shares_in: Labels of an image's square -> the shares (N, C) of its patches.
        size: Patches of the whole bank.
        seed: Of the draws, which depend on it and on the number of the image alone.
        batch: Images per forward pass.
        workers: Processes that read images.

    Raises:
        InputError: The bank would hold less than one patch of each image, or does not fit into
            memory, or nothing is labelled.
    """
    each = min(size // len(images.files), features.grid**2)
    if each == 0:
        raise InputError(
            f"a bank of {size} patches holds none of most of the {len(images.files)} images;"
            f" give --bank {len(images.files)} or more"
        )
    rows = each * len(images.files)
    check_memory(features, rows, len(images.files))
    # Made at once: a bank that is put together from parts needs their memory, too.
    dtype = torch.float16 if features.half else torch.float32
    vectors = torch.zeros(rows, features.width, dtype=dtype, device=features.device)
    # In any order: those that a query resembles most, the patches of one image, are spread over
    # the parts of a search, which then has few entries to sort in each.
    places = torch.from_numpy(np.random.default_rng(seed).permutation(rows)).view(-1, each)
    shares: dict[int, Shares] = {}
    own = own_share(range(len(images.files)))
    for number, found in features.batches(images, own, batch, workers, "bank"):
        labels = squeezed_labels(images.labels(number), features.size)
        of_image = shares_in(labels)
        kept = sample(of_image, each, np.random.default_rng((seed, number)))
        chosen = F.normalize(found[kept.to(found.device)], dim=-1)
        vectors[places[number].to(found.device)] = chosen.to(dtype)
        shares[number] = without_zeros(of_image[kept])
    shares = exchanged(vectors, shares)
    in_order = joined([shares[number] for number in sorted(shares)])
    bank = Bank(vectors, in_order.taken(places.flatten().argsort()))
    if not len(bank.shares.shares):
        raise InputError("no pixel of the training images' maps is labelled; look at the maps")
    return bank.to(features.device)


def exchanged(vectors: Tensor, shares: dict[int, Shares]) -> dict[int, Shares]:
    """Let every process have all rows, of which each has filled its own, and all shares."""
    if not is_distributed():
        return shares
    for rows in vectors.split(EXCHANGED):
        dist.all_reduce(rows)  # the other processes' are 0, so that the sums are exact
    of_all: list[dict[int, Shares]] = [{}] * dist.get_world_size()
    dist.all_gather_object(of_all, shares)
    return {number: own for of_one in of_all for number, own in of_one.items()}


def check_memory(features: PatchFeatures, rows: int, images: int) -> None:
    """Refuse a bank that does not fit into the memory of its device, with what its search takes.

    Raises:
        InputError: Says what would fit.
    """
    free = available_memory(features.device)
    part = PART.get(torch.device(features.device).type, PART["cpu"])
    search = (
        4 * features.grid**2 * part * 4
    )  # similarities of one image's patches, looked at in tiles
    of_row = features.width * (2 if features.half else 4)
    if rows * of_row + search <= free:
        return
    fitting = (free - search) * 9 // 10 // of_row
    remedies = [f"--bank {fitting} or less"] * (fitting >= images)
    remedies += ["--half"] * (not features.half)
    raise InputError(
        f"a bank of {rows:,} patches takes {(rows * of_row + search) / 2**30:.1f} GiB, and"
        f" {features.device} has {free / 2**30:.1f} GiB left;"
        f" give {', or '.join(remedies) or 'fewer training images'}"
    )


def sample(shares: Tensor, count: int, generator: np.random.Generator) -> Tensor:
    """Numbers of ``count`` of the patches (N, C), see :func:`build_bank`: int64."""
    there = (shares > 0).float()
    frequency = there @ there.sum(0)
    drawn = torch.from_numpy(generator.random(len(shares), dtype=np.float32))
    score = torch.where(frequency > 0, frequency * drawn, torch.inf)  # unlabelled ones come last
    return score.argsort(stable=True)[:count].sort().values


def search_seconds(bank: Tensor, queries: int, k: int) -> float:
    """About how long a search of the whole bank takes, from one of its first rows.

    Args:
        bank: (M, D).
        queries: Patches of an image.
        k: Neighbours.
    """
    part = PART.get(bank.device.type, PART["cpu"])
    first, more = 2 * part, 6 * part  # of both the beginning takes the same
    own = torch.randn(queries, bank.shape[1], device=bank.device)
    nearest(own, bank[:first], min(k, len(bank)))  # what is done once only is not measured
    seconds = []
    for rows in (first, more):
        began = time.perf_counter()
        nearest(own, bank[:rows], min(k, len(bank)))
        if bank.is_cuda:
            torch.cuda.synchronize(bank.device)
        seconds.append(time.perf_counter() - began)
    a_row = max(seconds[1] - seconds[0], 0.0) / (more - first)
    return seconds[0] + a_row * max(len(bank) - first, 0)
