"""Labelled images -> the share that their nearest neighbours classify rightly."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm  # type: ignore[import-untyped]

from selfpatch.data.labelled import LabelledImages


@torch.no_grad()
def knn_accuracy(
    summaries: Callable[[Tensor], Tensor],
    bank: LabelledImages,
    queries: LabelledImages,
    k: int = 20,
    temperature: float = 0.07,
    batch_size: int = 64,
    num_workers: int = 0,
    show_progress: bool = False,
) -> float:
    """Top-1 accuracy of the weighted nearest neighbours, DINO's protocol, in percent.

    Args:
        summaries: uint8 images (B, 3, H, W) -> what stands for each (B, D).
        bank: Images that vote.
        queries: Images that are classified.
        k: Votes per image.
        temperature: Temperature of the votes.
        batch_size: Images per forward pass.
        num_workers: Processes that read images.
        show_progress: Whether a terminal gets a bar.
    """

    def features(images: LabelledImages) -> tuple[Tensor, Tensor]:
        loader = DataLoader(images, batch_size, num_workers=num_workers)
        batches = tqdm(loader, "images", unit="batch", disable=None if show_progress else True)
        found = [(F.normalize(summaries(batch), dim=-1), label) for batch, label in batches]
        vectors, labels = map(torch.cat, zip(*found, strict=True))
        return vectors, labels.to(vectors.device)

    own, votes = features(bank)
    others, labels = features(queries)
    num_classes = max(bank.labels) + 1
    predicted = knn_classify(others, own, votes, num_classes, k, temperature)
    return 100 * (predicted == labels).float().mean().item()


def knn_classify(
    queries: Tensor,
    bank: Tensor,
    bank_labels: Tensor,
    num_classes: int,
    k: int,
    temperature: float,
) -> Tensor:
    """Class with the most votes, exp(similarity / temperature) each, among the k nearest.

    Source: DINO's eval_knn, after Wu et al., Unsupervised Feature Learning via Non-Parametric
    Instance Discrimination.

    Args:
        queries: Unit vectors (Q, D).
        bank: Unit vectors (M, D).
        bank_labels: int64 (M,), below ``num_classes``.
        num_classes: How many there are.
        k: Neighbours that vote; at most M do.
        temperature: Temperature of the votes.

    Returns:
        int64 (Q,).
    """
    similarity, nearest = (queries @ bank.T).topk(min(k, len(bank)))
    votes = similarity.div(temperature).exp()
    totals = votes.new_zeros(len(queries), num_classes)
    return totals.scatter_add_(1, bank_labels[nearest], votes).argmax(1)
