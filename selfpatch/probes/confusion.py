"""Predicted and labelled pixels -> how often each class is taken for each, and what follows."""

import torch
from torch import Tensor


def confusion(predicted: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Pixels of each labelled class (rows) that are taken for each class (columns): int64 (C, C).

    Args:
        predicted: int64, below ``num_classes``, of any shape.
        labels: int64, of the same shape; what is not below ``num_classes``, or negative, does not
            count.
        num_classes: C.
    """
    counted = (labels >= 0) & (labels < num_classes)
    pairs = labels[counted] * num_classes + predicted[counted]
    return torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)


def segmentation_metrics(matrix: Tensor) -> dict[str, float | None]:
    """mIoU, mAcc and aAcc in percent, as mmsegmentation defines them.

    A class that is neither labelled nor predicted anywhere counts for no IoU, one that is labelled
    nowhere for no accuracy. All are None where nothing is labelled.
    """
    matrix = matrix.double()
    right, labelled, predicted = matrix.diag(), matrix.sum(1), matrix.sum(0)
    if not labelled.any():
        return dict.fromkeys(("mIoU", "mAcc", "aAcc"))
    union = labelled + predicted - right
    return {
        "mIoU": 100 * (right / union)[union > 0].mean().item(),
        "mAcc": 100 * (right / labelled)[labelled > 0].mean().item(),
        "aAcc": 100 * (right.sum() / labelled.sum()).item(),
    }
