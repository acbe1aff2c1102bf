"""Views -> logits: the trunk f with its heads, as student and as teacher."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from selfpatch.models.heads import AggregationHead, ProjectionHead
from selfpatch.models.neighbours import match_positives, neighbour_index
from selfpatch.models.vit import build_vit


class Logits(NamedTuple):
    """What a network says of V views of B images.

    Attributes:
        image: (V, B, K), one row of logits per view.
        patches: One tensor (v, B, N, K') for each run of v views of equal size; their v add up
            to V. Empty for a network without patch head.
    """

    image: Tensor
    patches: list[Tensor]


def batches_of_equal_size(views: Sequence[Tensor]) -> Iterator[Tensor]:
    """Stack each run of equally sized views (B, 3, h, w): tensors (v, B, 3, h, w), in order."""
    for _, run in groupby(views, key=lambda view: view.shape):
        yield torch.stack(list(run))


class ImageNetwork(nn.Module):
    """f and g of the host method (Eq. 2): the trunk's own [CLS] token -> image logits."""

    def __init__(self, backbone: dict[str, Any], image_head: dict[str, Any]) -> None:
        super().__init__()
        self.backbone = build_vit(**{**backbone, "class_token": True, "final_norm": True})
        self.image_head = ProjectionHead(self.backbone.embed_dim, **image_head)

    def forward(self, views: Sequence[Tensor]) -> Logits:
        """Views, each (B, 3, h, w) -> their image logits."""
        summaries = []
        for batch in batches_of_equal_size(views):
            tokens = self.backbone(batch.flatten(0, 1))
            summaries.append(self.backbone.norm(tokens[:, 0]).unflatten(0, batch.shape[:2]))
        return Logits(self.image_head(torch.cat(summaries)), [])

    def targets(self, views: Sequence[Tensor]) -> Logits:
        """As teacher the network does what it does as student."""
        return self(views)


class SelfPatchNetwork(nn.Module):
    """f, h, g and g': the image's summary, and the patches or their summaries -> logits.

    Args:
        backbone: Arguments of :func:`build_vit`; the trunk has neither [CLS] nor final norm.
        image_head: Arguments of the image's :class:`ProjectionHead` g.
        patch_head: Arguments of the patches' :class:`ProjectionHead` g'.
        k: Positives per patch.
        neighbourhood: Side of the square neighbourhood, in patches.
        border: ``wrap`` or ``clip``, see :func:`neighbour_index`.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        image_head: dict[str, Any],
        patch_head: dict[str, Any],
        k: int = 4,
        neighbourhood: int = 3,
        border: str = "wrap",
    ) -> None:
        super().__init__()
        self.backbone = build_vit(**backbone)
        dim, heads = self.backbone.embed_dim, self.backbone.architecture["num_heads"]
        self.aggregation_head = AggregationHead(dim, heads)
        self.image_head = ProjectionHead(dim, **image_head)
        self.patch_head = ProjectionHead(dim, **patch_head)
        self.k, self.neighbourhood, self.border = k, neighbourhood, border

    def forward(self, views: Sequence[Tensor]) -> Logits:
        """As student (Eq. 6-7): the image's summary y and the patches f^(i) themselves."""
        images, patches = [], []
        for batch in batches_of_equal_size(views):
            tokens = self.backbone(batch.flatten(0, 1))
            image = self.aggregation_head.summarize_image(tokens)
            images.append(image.unflatten(0, batch.shape[:2]))
            own = self.patch_head(self.aggregation_head.norm(tokens))
            patches.append(own.unflatten(0, batch.shape[:2]))
        return Logits(self.image_head(torch.cat(images)), patches)

    def targets(self, views: Sequence[Tensor]) -> Logits:
        """As teacher (Eq. 6-7): the image's summary y and the patches' summaries y^(i)."""
        images, patches = [], []
        for batch in batches_of_equal_size(views):
            tokens = self.backbone(batch.flatten(0, 1))
            positives = self.positives(batch, tokens)
            image, summaries = self.aggregation_head.summarize(tokens, positives)
            images.append(image.unflatten(0, batch.shape[:2]))
            patches.append(self.patch_head(summaries).unflatten(0, batch.shape[:2]))
        return Logits(self.image_head(torch.cat(images)), patches)

    def positives(self, batch: Tensor, tokens: Tensor) -> Tensor:
        """P(i) of every patch of the views (v, B, 3, h, w): int64 (v * B, N, k)."""
        grid = self.backbone.grid(batch)
        neighbours = neighbour_index(*grid, self.neighbourhood, self.border)
        return match_positives(tokens, neighbours.to(tokens.device), self.k)
