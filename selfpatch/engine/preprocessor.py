"""Batches of crops -> batches with their views, on the device."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import MODELS
from torch import Tensor

from selfpatch.data.draws import Draws
from selfpatch.data.photometric import photometric
from selfpatch.errors import InputError


@MODELS.register_module()
class ViewPreprocessor(BaseDataPreprocessor):
    """Crops -> views that the networks take: colours, blur, normalised.

    Args:
        mean: Mean per channel, in units of 0-255.
        std: Standard deviation per channel, in units of 0-255.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__(non_blocking=True)
        if not len(mean) == len(std) == 3 or min(std) <= 0:
            raise InputError(f"mean {mean} and std {std} must be three numbers each, std above 0")
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, batch: dict[str, Any]) -> list[Tensor]:
        """A batch of :class:`selfpatch.data.views.MultiViewDataset` -> V views.

        Args:
            batch: ``crops``, uint8 (B, v, 3, h, w) for each run of v views of equal size, and
                ``draws``, what becomes of them; without those the crops are the views.

        Returns:
            fp32 (B, 3, h, w) each, normalised, on the device.
        """
        views: list[Tensor] = []
        for number, crops in enumerate(batch["crops"]):
            flat = crops.flatten(0, 1)
            if "draws" in batch:
                drawn = Draws(*(of.flatten(0, 1) for of in batch["draws"][number]))
                flat = photometric(flat, drawn, self.device)
            # View by view in memory, as the networks take them.
            of_views = self.normalized(flat).unflatten(0, crops.shape[:2]).transpose(0, 1)
            views += of_views.contiguous().unbind(0)
        return views

    def normalized(self, images: Tensor) -> Tensor:
        """Images (B, 3, h, w) in units of 0-255 -> the same in fp32, normalised, on the device."""
        return (self.cast_data(images).float() - self.mean) / self.std


def with_views(
    batches: Iterable[dict[str, Any]], preprocess: ViewPreprocessor
) -> Iterator[dict[str, Any]]:
    """Add ``views`` to each batch; on a GPU they are made beside the step before.

    A step is queued and not waited for, so that its successor's views, queued on a stream of their
    own, meet it at work.
    """
    if preprocess.device.type != "cuda":
        yield from ({**batch, "views": preprocess(batch)} for batch in batches)
        return
    beside = torch.cuda.Stream(preprocess.device, priority=-1)  # short kernels, which go first
    for batch in batches:
        with torch.cuda.stream(beside):
            views = preprocess(batch)
        steps = torch.cuda.current_stream(preprocess.device)
        steps.wait_stream(beside)
        for view in views:
            view.record_stream(steps)
        yield {**batch, "views": views}
