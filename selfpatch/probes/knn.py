"""Labelled images -> the share that their nearest neighbours classify rightly."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from selfpatch.data.labelled import LabelledImages
from selfpatch.probes.in_context import nearest
from selfpatch.probes.vectors import vectors_of

NEIGHBOURS, TEMPERATURE = (20,), 0.07
"""Votes per image, and their temperature: what DINO reports."""

QUERIES = 1024
"""Images that are classified at once."""

TOP = 5
"""One of so many classes with the most votes has to be the right one; else the first has to be."""


def knn_accuracy(
    summaries: Callable[[Tensor], Tensor],
    bank: LabelledImages,
    queries: LabelledImages,
    neighbours: Sequence[int] = NEIGHBOURS,
    temperature: float = TEMPERATURE,
    batch: int = 64,
    workers: int = 0,
    command: bool = False,
) -> dict[str, float]:
    """Accuracy of the weighted nearest neighbours, DINO's protocol, in percent.

    Args:
        summaries: uint8 images (B, 3, H, W) -> what stands for each (B, D).
        bank: Images that vote.
        queries: Images that are classified.
        neighbours: Votes per image, any number of them; at most all images of the bank vote.
        temperature: Temperature of the votes.
        batch: Images per forward pass.
        workers: Processes that read images.
        command: Whether it is all that is done: a terminal gets bars, and processes share the
            work; while a run trains, one process does it.

    Returns:
        For each k the share whose class has the most votes, ``k-NN``, and, where there are more
        than five classes, the share whose class is among the five with the most, ``k-NN top-5``.
    """

    def unit(images: Tensor) -> Tensor:
        return F.normalize(summaries(images), dim=-1)

    own, votes = vectors_of(bank, unit, batch, workers, "bank" * command, together=command)
    others, labels = vectors_of(queries, unit, batch, workers, "images" * command, together=command)
    right = {k: torch.zeros(TOP, device=own.device) for k in neighbours}
    for some, true in zip(others.split(QUERIES), labels.split(QUERIES), strict=True):
        similarity, rows = nearest(some, own, min(max(neighbours), len(own)))
        for k, counts in right.items():
            ranked = knn_classes(
                similarity[:, :k], votes[rows[:, :k]], bank.num_classes, temperature
            )
            counts += (ranked == true[:, None]).sum(0)
    shares = {k: (100 * counts.cumsum(0) / len(queries)).tolist() for k, counts in right.items()}
    found = {f"{k}-NN": share[0] for k, share in shares.items()}
    if bank.num_classes > TOP:
        found |= {f"{k}-NN top-{TOP}": share[-1] for k, share in shares.items()}
    return found


def knn_classes(similarity: Tensor, labels: Tensor, num_classes: int, temperature: float) -> Tensor:
    """Classes in the order of their votes, exp(similarity / temperature) each.

    Source: DINO's eval_knn, after Wu et al., Unsupervised Feature Learning via Non-Parametric
    Instance Discrimination. There, classes without any vote may come among the first five as well.

    Args:
        similarity: fp32 (Q, k), of the images that vote.
        labels: int64 (Q, k), their classes, below ``num_classes``.
        num_classes: How many there are.
        temperature: Temperature of the votes.

    Returns:
        int64 (Q, 5), -1 from where on no class has a vote.
    """
    greatest = similarity.amax(1, keepdim=True)  # subtracted, for small temperatures
    votes = (similarity - greatest).div(temperature).exp().clamp(min=1e-30)
    totals = votes.new_zeros(len(votes), max(num_classes, TOP)).scatter_add_(1, labels, votes)
    most, classes = totals.topk(TOP)
    return classes.where(most > 0, -1)
