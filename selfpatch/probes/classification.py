"""Frozen features of labelled images -> linear classifiers, and how well they classify.

What DINO and DINOv2 call linear evaluation: classifiers of several readings of the trunk's last
tokens, at several learning rates, all trained in one pass over the same features.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset, Subset
from tqdm import tqdm  # type: ignore[import-untyped]

from selfpatch.data.labelled import LabelledImages, RandomCrops
from selfpatch.models.distributed import rank
from selfpatch.models.heads import AggregationHead
from selfpatch.models.networks import image_token
from selfpatch.models.trunks import Trunk
from selfpatch.models.vit import VisionTransformer
from selfpatch.probes.linear import Classifiers, split_off
from selfpatch.probes.vectors import vectors_of

BLOCKS = 4
"""Last blocks of a ViT of which the tokens are read, in DINO's evaluation of ViT-S."""

RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
"""Learning rates that are tried."""

SCORED = 4096
"""Images that are scored at once."""

TOP = 5
"""One of so many likeliest classes has to be the right one; else the first has to be."""


@dataclass(frozen=True)
class Training:
    """How the classifiers are trained.

    Attributes:
        rates: Learning rates, one classifier of each reading for each.
        epochs: Times that each image is seen; the rate falls to 0 along a cosine meanwhile.
        batch: Images of a step of SGD with momentum 0.9.
        held_out: Share of the training images that chooses reading and rate.
        crops: Random crops of each training image, of which an epoch takes one; 0 is its centre.
        seed: Of all draws.
    """

    rates: Sequence[float] = RATES
    epochs: int = 100
    batch: int = 256
    held_out: float = 0.1
    crops: int = 0
    seed: int = 0


class Score(NamedTuple):
    """How well a classifier does: top-1 and top-5 accuracy in percent, mean cross-entropy."""

    top1: float
    top5: float
    loss: float


class Chosen(NamedTuple):
    """A classifier that was chosen: reading, learning rate, top-1 of the held-out images."""

    reading: str
    rate: float
    held_out: float


Readings = Mapping[str, list[int]]
"""Name -> the parts of :func:`parts_of` that a classifier reads."""


def parts_of(trunk: Trunk, head: AggregationHead | None, images: Tensor) -> Tensor:
    """What classifiers may read of images (B, 3, H, W): (B, P, D).

    The image's own token after each of the last blocks of a ViT, of any other trunk after its last
    layer, behind the trunk's norm; then the mean of the last patches. The image's token is [CLS],
    or the mean of the patches without one, when the last part is left out; the last one of
    SelfPatch is its head's summary.

    Source: ``eval_linear`` in facebookresearch/dino, ``create_linear_input`` in dinov2.

    Args:
        trunk: The trunk.
        head: SelfPatch's aggregation head, if there is one.
        images: Normalised.
    """
    layers = last_tokens(trunk, images)
    patches = layers[-1][:, trunk.num_prefix_tokens :]
    own = [image_token(trunk, tokens) for tokens in layers]
    if head is not None:
        own[-1] = head.summarize_image(patches)
    if has_own_token(trunk, head):
        own.append(trunk.norm(patches).mean(1))
    return torch.stack(own, 1).float()


def has_own_token(trunk: Trunk, head: AggregationHead | None) -> bool:
    """Whether what stands for an image is anything but the mean of its patches."""
    return head is not None or trunk.num_prefix_tokens > 0


def last_tokens(trunk: Trunk, images: Tensor) -> list[Tensor]:
    """The tokens (B, prefix + N, D) after the last blocks of a ViT; after the last layer, else."""
    if not isinstance(trunk, VisionTransformer):
        return [trunk(images)]
    tokens, rotary = trunk.embed(images), trunk.rotary(trunk.grid(images))
    found: list[Tensor] = []
    for block in trunk.blocks:
        tokens = trunk.run_block(block, tokens, rotary)
        found = [*found, tokens][-BLOCKS:]
    return found


def readings(trunk: Trunk, head: AggregationHead | None) -> Readings:
    """The readings of a trunk that are tried."""
    blocks = min(BLOCKS, trunk.num_layers) if isinstance(trunk, VisionTransformer) else 1
    found = {"last": [blocks - 1]}
    if blocks > 1:
        found[f"last {blocks}"] = list(range(blocks))
    if has_own_token(trunk, head):
        found |= {f"{name} and patches": [*parts, blocks] for name, parts in found.items()}
    return found


def linear_classification(
    parts: Callable[[Tensor], Tensor],
    which: Readings,
    training: LabelledImages,
    validation: LabelledImages,
    how: Training,
    batch: int = 64,
    workers: int = 0,
    device: str = "cpu",
) -> tuple[Score, Chosen]:
    """Train all classifiers, choose one on held-out training images, and score it.

    The one that is chosen is trained anew, on all training images, before it sees the validation
    images.

    Args:
        parts: uint8 images (B, 3, H, W) -> (B, P, D).
        which: What may be read of them.
        training: Images to learn from.
        validation: Images to classify.
        how: Training.
        batch: Images per forward pass.
        workers: Processes that read images.
        device: Where the classifiers are trained.

    Raises:
        InputError: There are too few training images to hold one out, or too many for the memory.
    """
    seen, held_out = (torch.tensor(own) for own in split_off(len(training), how.held_out, how.seed))

    def views(images: Tensor) -> Tensor:
        return parts(images.flatten(0, 1)).unflatten(0, images.shape[:2])

    def compute(images: Dataset, what: Callable, size: int, name: str) -> tuple[Tensor, Tensor]:
        return vectors_of(images, what, size, workers, name, "cpu", together=True)

    if how.crops:
        crops = RandomCrops(training, how.crops, how.seed)
        features, labels = compute(crops, views, max(batch // how.crops, 1), "training images")
        held, _ = compute(Subset(training, held_out.tolist()), parts, batch, "held-out images")
    else:
        centres, labels = compute(training, parts, batch, "training images")
        features, held = centres[:, None], centres[held_out]
    others, truth = compute(validation, parts, batch, "images")

    grid = {name: tuple(how.rates) for name in which}
    run = partial(train, features, labels, which=which, num_classes=training.num_classes, how=how)
    found = {
        (name, rate): score
        for name, model in run(numbers=seen, grid=grid, device=device).items()
        for rate, score in zip(
            how.rates, scores(model, held[:, which[name]], labels[held_out]), strict=True
        )
    }
    name, rate = max(found, key=lambda own: (found[own].top1, -found[own].loss))
    everything = torch.arange(len(labels))
    model = run(numbers=everything, grid={name: (rate,)}, device=device)[name]
    (score,) = scores(model, others[:, which[name]], truth)
    return score, Chosen(name, rate, found[name, rate].top1)


def train(
    features: Tensor,
    labels: Tensor,
    numbers: Tensor,
    which: Readings,
    grid: Mapping[str, Sequence[float]],
    num_classes: int,
    how: Training,
    device: str = "cpu",
) -> dict[str, Classifiers]:
    """Train classifiers of some images.

    Features are normalised per channel by their mean and deviation over these images.

    Args:
        features: (M, V, P, D), of V views of each image, of which an epoch takes one.
        labels: int64 (M,).
        numbers: int64 (n,), the images.
        which: The parts of each reading.
        grid: Reading -> its learning rates, one classifier each.
        num_classes: C.
        how: Training.
        device: Where to.

    Returns:
        The classifiers of each reading, in the order of its rates.
    """
    mean, std = statistics(features, numbers, how.batch)
    models = {
        name: Classifiers(
            mean[which[name]].flatten(), std[which[name]].flatten(), len(rates), num_classes
        )
        for name, rates in grid.items()
    }
    groups = [
        {"params": layer.parameters(), "lr": rate}
        for name, rates in grid.items()
        for layer, rate in zip(models[name].to(device).layers, rates, strict=True)
    ]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    steps = how.epochs * -(-len(numbers) // how.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(how.seed)
    quiet = None if rank() == 0 else True
    for epoch in tqdm(range(how.epochs), "training", unit="epoch", disable=quiet):
        order = numbers[torch.randperm(len(numbers), generator=generator)]
        for some in order.split(how.batch):
            seen = features[some, epoch % features.shape[1]].to(device)
            true = labels[some].to(device)
            losses = [
                F.cross_entropy(logits, true)
                for name, model in models.items()
                for logits in model(seen[:, which[name]].flatten(1))
            ]
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            optimizer.step()
            schedule.step()
    return models


def statistics(features: Tensor, numbers: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """Mean and deviation (P, D) of the features (M, V, P, D) of some images, over all views."""
    total = squares = torch.zeros((), dtype=torch.float64)
    for some in numbers.split(batch):
        own = features[some].double()
        total, squares = total + own.sum((0, 1)), squares + own.square().sum((0, 1))
    count = len(numbers) * features.shape[1]
    mean = total / count
    return mean.float(), (squares / count - mean**2).clamp(min=0).sqrt().float()


@torch.no_grad()
def scores(model: Classifiers, features: Tensor, labels: Tensor) -> list[Score]:
    """How well each classifier does on features (M, p, D) of classes int64 (M,)."""
    sums = torch.zeros(len(model.layers), 3, dtype=torch.float64)
    for some, true in zip(features.split(SCORED), labels.split(SCORED), strict=True):
        true = true.to(model.mean.device)
        for own, logits in zip(sums, model(some.to(model.mean.device).flatten(1)), strict=True):
            likeliest = logits.topk(min(TOP, logits.shape[1])).indices == true[:, None]
            loss = F.cross_entropy(logits, true, reduction="sum").nan_to_num(torch.inf)
            own += torch.stack([likeliest[:, 0].sum(), likeliest.sum(), loss]).cpu()
    means = sums / len(labels)
    return [Score(100 * first, 100 * five, loss) for first, five, loss in means.tolist()]
