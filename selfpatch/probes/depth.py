"""Frozen patches and depth maps -> how far the pixels of other images are, and how well it is told.

Linear read-out, after DINOv3's evaluation (its ``eval/depth`` and ``config-nyu.yaml``): a linear
layer gives a patch 256 values, which relu and division by their sum turn into weights of depths
between 1 mm and 10 m, equally spaced; that mixing is AdaBins' (Bhat et al., 2021). In-context
read-out, after Balazevic et al. (2023): a patch is as far as its nearest neighbours in a bank. Both
give the depths of patches, which are enlarged bilinearly.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from selfpatch.data.depth import FARTHEST, NEAREST, DepthImages
from selfpatch.data.segmented import UNLABELLED
from selfpatch.models.distributed import own_share, sum_over_processes
from selfpatch.probes.bank import bank_of
from selfpatch.probes.features import PatchFeatures
from selfpatch.probes.in_context import Bank, read_out
from selfpatch.probes.linear import Classifiers, Step, Training, fit, split_off, statistics
from selfpatch.probes.pixels import at_pixels

BINS = 256
"""Depths that a patch's is mixed of."""

METRICS = ("RMSE-cm", "delta1", "AbsRel")
"""Root of the mean squared error in centimetres, for tables have two decimals; percent of pixels
less than a quarter off; mean error in percent of the truth."""

Metrics = dict[str, float | None]


def mixed_depth(logits: Tensor) -> Tensor:
    """What a linear layer gives (..., 256) -> metres (...)."""
    weights = logits.relu() + 0.1  # as AdaBins has it
    depths = torch.linspace(NEAREST, FARTHEST, BINS, device=logits.device)
    return weights @ depths / weights.sum(-1)


def scale_invariant(predicted: Tensor, metres: Tensor) -> Tensor:
    """The root of the variance plus 0.15 times the squared mean of the log ratios of one image.

    Source: Eigen et al. (2014), with the weight that AdaBins and DINOv3's ``SigLoss`` give it.

    Args:
        predicted: (P, R), of R read-outs.
        metres: (P,), the truth.

    Returns:
        (R,).
    """
    ratio = (predicted + 1e-3).log() - (metres[:, None] + 1e-3).log()
    return (ratio.var(0) + 0.15 * ratio.mean(0).square()).clamp(min=1e-12).sqrt()


def regression(model: torch.nn.Module, grid: int, step: Step) -> tuple[Tensor, Tensor]:
    """Losses of the images that have depths: of the depths of their patches, interpolated."""
    logits = torch.stack(model(step.found.flatten(0, 1)), dim=1)
    depths = mixed_depth(logits).unflatten(0, step.found.shape[:2])  # (B, N, R)
    there = step.labels[:, 0] != UNLABELLED
    metres = (step.labels / 1000).clamp(min=NEAREST)
    losses = [
        scale_invariant(at_pixels(own, grid, row, column, size), truth)
        for own, size, row, column, truth in zip(
            depths, step.sizes, step.rows, step.columns, metres, strict=True
        )
    ]
    return (torch.stack(losses) * there[:, None]).sum(0), there.sum()


def depth_metrics(predicted: Tensor, metres: Tensor) -> Tensor:
    """:data:`METRICS` of one image: float64 (3,).

    Args:
        predicted: (P,), of the pixels that count.
        metres: (P,), the truth.
    """
    predicted, metres = predicted.double().clamp(NEAREST, FARTHEST), metres.double()
    error = predicted - metres
    ratio = torch.maximum(predicted / metres, metres / predicted)
    squares, near, relative = error.square(), ratio < 1.25, error.abs() / metres
    return 100 * torch.stack([squares.mean().sqrt(), near.double().mean(), relative.mean()])


@torch.no_grad()
def measured(
    features: PatchFeatures,
    images: DepthImages,
    numbers: list[int],
    depths_of: Callable[[Tensor], Tensor],
    num_readouts: int = 1,
    batch: int = 16,
    workers: int = 0,
) -> list[Metrics]:
    """The mean over images of :data:`METRICS`, of each read-out.

    Args:
        features: The trunk.
        images: Images with depth maps, at whose size depths are compared.
        numbers: Which of them; one without any depth counts for nothing.
        depths_of: Features (N, D) of patches -> their depths in metres (N, R).
        num_readouts: R.
        batch: Images per forward pass.
        workers: Processes that read images.
    """
    sums = torch.zeros(num_readouts, 1 + len(METRICS), dtype=torch.float64, device=features.device)
    for number, found in features.batches(images, own_share(numbers), batch, workers, "images"):
        labels = torch.from_numpy(images.labels(number)).to(found.device)
        there = labels != UNLABELLED
        if not there.any():
            continue
        maps = depths_of(found).T.unflatten(1, (features.grid, features.grid))[None]
        enlarged = F.interpolate(maps, tuple(labels.shape), mode="bilinear")[0]
        own = [depth_metrics(depths[there], labels[there] / 1000) for depths in enlarged]
        sums += F.pad(torch.stack(own), (1, 0), value=1.0)
    count, *values = sum_over_processes(sums).T.tolist()
    return [
        {name: value / n if n else None for name, value in zip(METRICS, own, strict=True)}
        for n, *own in zip(count, *values, strict=True)
    ]


def linear_depth(
    features: PatchFeatures, training: DepthImages, test: DepthImages, how: Training,
    batch: int = 16, workers: int = 0,
) -> tuple[Metrics, float]:  # fmt: skip
    """Metrics of the layer that is best on held-out training images, and its learning rate.

    Raises:
        InputError: There are too few training images to hold one out.
    """
    seen, held_out = split_off(len(training), how.held_out, how.seed)
    mean, std = statistics(features, training, seen, batch, workers)
    model = Classifiers(mean, std, len(how.rates), BINS)
    generator = torch.Generator().manual_seed(how.seed)
    for weights in model.parameters():
        if weights.ndim == 2:  # of zeros, relu lets no gradient through
            torch.nn.init.normal_(weights, std=0.01, generator=generator)
    model.to(features.device)
    fit(model, regression, features, training, seen, how, workers)

    def depths_of(found: Tensor) -> Tensor:
        return mixed_depth(torch.stack(model(found), dim=1))

    count = len(how.rates)
    chances = measured(features, training, held_out, depths_of, count, batch, workers)
    errors = [own["RMSE-cm"] for own in chances]
    best = errors.index(min((error for error in errors if error is not None), default=None))
    model.layers = torch.nn.ModuleList([model.layers[best]])
    everything = list(range(len(test)))
    (metrics,) = measured(features, test, everything, depths_of, 1, batch, workers)
    return metrics, how.rates[best]


def patch_depths(millimetres: Tensor, patch_size: int) -> Tensor:
    """Mean depth in metres of each patch, and 1; zeros where it has none: fp32 (N, 2).

    The two are mixed alike by the weights of neighbours, so that those without a depth say nothing.

    Args:
        millimetres: int64 (H, W), whose sides are multiples of the patch, :data:`UNLABELLED` where
            there is none.
        patch_size: Side of a patch.
    """
    there = millimetres != UNLABELLED
    both = torch.stack([millimetres.where(there, 0) / 1000, there.float()])
    total, share = F.avg_pool2d(both, patch_size).flatten(1)
    return torch.stack([total / share.clamp(min=1e-9), (share > 0).float()], dim=1)


def in_context_depth(
    features: PatchFeatures, bank: Bank, test: DepthImages, batch: int = 16, workers: int = 0
) -> Metrics:
    """Metrics of depths that are means over neighbours in a bank of :func:`depth_bank`."""

    def depths_of(found: Tensor) -> Tensor:
        total, share = read_out(found, bank, 2).T
        return (total / share.clamp(min=1e-9))[:, None]

    everything = list(range(len(test)))
    (metrics,) = measured(features, test, everything, depths_of, 1, batch, workers)
    return metrics


def depth_bank(
    features: PatchFeatures,
    training: DepthImages,
    size: int,
    seed: int = 0,
    batch: int = 16,
    workers: int = 0,
) -> Bank:
    """The same number of random patches of each training image, those with a depth first.

    Raises:
        InputError: See :func:`selfpatch.probes.bank.bank_of`.
    """

    def shares(labels: Tensor) -> Tensor:
        return patch_depths(labels, features.patch_size)

    return bank_of(features, training, shares, size, seed, batch, workers)
