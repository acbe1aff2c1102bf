"""Confusion matrices against a loop over pixels, their metrics against mmsegmentation's."""

import pytest
import torch

from selfpatch.probes.confusion import confusion, segmentation_metrics


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randint(0, 5, (9, 7), generator=generator),
        torch.randint(-1, 5, (9, 7), generator=generator),
    )


def test_pixels_are_counted_by_class():
    predicted, labels = drawn(0)
    labels[0, 0] = 255
    expected = torch.zeros(5, 5, dtype=torch.int64)
    for taken, true in zip(predicted.flatten().tolist(), labels.flatten().tolist(), strict=True):
        if 0 <= true < 5:
            expected[true, taken] += 1
    assert confusion(predicted, labels, 5).equal(expected)


@pytest.mark.parametrize("absent", [None, 3])
def test_metrics_are_mmsegmentations(absent):
    mmseg = pytest.importorskip("mmseg.evaluation.metrics.iou_metric")
    predicted, labels = drawn(1)
    if absent is not None:
        labels[labels == absent] = 1
        predicted[predicted == absent] = 2
        predicted[0, 0] = 4
    areas = mmseg.IoUMetric.intersect_and_union(predicted, labels.where(labels >= 0, 255), 5, 255)
    theirs = mmseg.IoUMetric.total_area_to_metrics(*areas, metrics=["mIoU"])
    found = segmentation_metrics(confusion(predicted, labels, 5))
    assert found["aAcc"] == pytest.approx(100 * theirs["aAcc"])
    assert found["mIoU"] == pytest.approx(100 * torch.tensor(theirs["IoU"]).nanmean().item())
    assert found["mAcc"] == pytest.approx(100 * torch.tensor(theirs["Acc"]).nanmean().item())


def test_without_labels_there_is_no_metric():
    matrix = confusion(torch.zeros(4, dtype=torch.int64), torch.full((4,), -1), 3)
    assert segmentation_metrics(matrix) == {"mIoU": None, "mAcc": None, "aAcc": None}
