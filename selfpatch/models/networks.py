"""Views -> logits: the trunk f with its heads, as student and as teacher."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from selfpatch.errors import InputError
from selfpatch.models.heads import AggregationHead, ProjectionHead, PrototypeLogits
from selfpatch.models.neighbours import (
    check_neighbourhood,
    fewest_neighbours,
    match_positives,
    mean_of_positives,
    neighbour_index,
)
from selfpatch.models.trunks import Transformer, Trunk
from selfpatch.models.vit import init_transformer_weights


class Logits(NamedTuple):
    """What a network says of V views of B images.

    Attributes:
        image: (V, B, K), one row per view that the objective looks at, the first ones: logits or an
            embedding, as its head gives.
        patches: (v, B, N, K') of each run of v views of equal size, by the number of its first
            view. Empty for a network without patch head.
    """

    image: Any
    patches: dict[int, PrototypeLogits]


def runs_of_equal_size(views: Sequence[Tensor]) -> list[tuple[int, Tensor]]:
    """Views (B, 3, h, w) -> runs of equally sized ones (v, B, 3, h, w) with the first's number."""
    runs, first = [], 0
    for _, run in groupby(views, key=lambda view: view.shape):
        runs.append((first, torch.stack(list(run))))
        first += len(runs[-1][1])
    return runs


def image_token(trunk: Trunk, tokens: Tensor) -> Tensor:
    """Tokens (B, prefix + N, D) -> the [CLS] token, or the mean without one, normalised: (B, D)."""
    if trunk.num_prefix_tokens:
        return trunk.norm(tokens[:, 0])
    return trunk.norm(tokens).mean(1)


def features_of(
    trunk: Trunk, aggregation_head: AggregationHead | None, images: Tensor
) -> tuple[Tensor, Tensor]:
    """What represents an image, and its patches, as training sees them.

    Args:
        trunk: The trunk.
        aggregation_head: SelfPatch's, whose summary stands for the image; None for other methods.
        images: (B, 3, H, W).

    Returns:
        (B, D) and (B, N, D).
    """
    tokens = trunk(images)
    patches = tokens[:, trunk.num_prefix_tokens :]
    if aggregation_head is None:
        return image_token(trunk, tokens), patches
    return aggregation_head.summarize_image(patches), patches


class ImageNetwork(nn.Module):
    """f and g of the host method (Eq. 2): the trunk's own image token -> image logits.

    Args:
        trunk: A trunk with a final norm; its [CLS] token stands for the image, or the mean of
            its tokens if it has none.
        image_head: The projection head g, (V, B, D) -> (V, B, K).
    """

    def __init__(self, trunk: Transformer, image_head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.image_head = image_head

    def forward(self, views: Tensor, image: bool = True, patches: bool = False) -> tuple[Any, None]:
        """Views (v, B, 3, h, w) -> their image logits (v, B, K); no patches' logits."""
        return self.image_head(self.images(views)), None

    def targets(self, runs: Sequence[tuple[int, Tensor]], num_images: int | None = None) -> Logits:
        """As teacher, of runs of views (v, B, 3, h, w): what it does as student."""
        images = torch.cat([self.images(views) for _, views in runs])
        return Logits(self.image_head(images[:num_images]), {})

    def images(self, views: Tensor) -> Tensor:
        """Views (v, B, 3, h, w) -> their image tokens (v, B, D)."""
        tokens = self.trunk(views.flatten(0, 1))
        return image_token(self.trunk, tokens).unflatten(0, views.shape[:2])

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) -> what represents each of them (B, D), and its patches (B, N, D)."""
        return features_of(self.trunk, None, images)


class SelfPatchNetwork(nn.Module):
    """f, h, g and g': the image's summary, and the patches or their summaries -> logits.

    Args:
        trunk: A trunk; without [CLS] and final norm in the paper's setting.
        image_head: The image's projection head g, (V, B, D) -> (V, B, K).
        patch_head: The patches' projection head g'.
        k: Positives per patch; ``all`` keeps every neighbour.
        neighbourhood: Side of the square neighbourhood in patches, or ``all`` other patches.
        border: ``wrap`` or ``clip``, see :func:`neighbour_index`.
        aggregation: How a patch's positives become its summary, see :data:`AGGREGATIONS`.
        patch_layer: Layer of the trunk whose places are the patches, counted from 0; the last one
            is the image's in any case. Patches narrower than the last tokens, those of an earlier
            stage of a Swin, are first made as wide by one linear map, since h is one for both.
    """

    def __init__(
        self,
        trunk: Transformer,
        image_head: nn.Module,
        patch_head: ProjectionHead,
        k: int | str = 4,
        neighbourhood: int | str = 3,
        border: str = "wrap",
        aggregation: str = "attention",
        patch_layer: int = -1,
    ) -> None:
        super().__init__()
        last = trunk.num_layers - 1
        if not -1 <= patch_layer <= last:
            raise InputError(f"patch_layer must lie from 0 to {last}, or be -1, not {patch_layer}")
        if aggregation not in AGGREGATIONS:
            raise InputError(
                f"aggregation must be one of {', '.join(AGGREGATIONS)}, not {aggregation!r}"
            )
        check_neighbourhood(neighbourhood, border)
        most = float("inf") if neighbourhood == "all" else int(neighbourhood) ** 2 - 1
        if k != "all" and (not isinstance(k, int) or not 1 <= k <= most):
            raise InputError(f"k must be 'all' or lie from 1 to the {most:g} neighbours, not {k!r}")
        self.trunk = trunk
        self.aggregation_head = AggregationHead(trunk.embed_dim, trunk.num_heads)
        self.image_head = image_head
        self.patch_head = patch_head
        self.k, self.neighbourhood, self.border = k, neighbourhood, border
        self.aggregate = AGGREGATIONS[aggregation]
        self.layers = sorted({last, patch_layer if patch_layer >= 0 else last})
        width, full = trunk.layer_dims[self.layers[0]], trunk.embed_dim
        self.widen = nn.Identity() if width == full else nn.Linear(width, full)
        self.widen.apply(init_transformer_weights)

    def tokens(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Images (B, 3, H, W) -> last tokens (B, M, D), patches (B, N, D), the patches' grid."""
        if len(self.layers) == 1:
            tokens = self.trunk(images)[:, self.trunk.num_prefix_tokens :]
            return tokens, tokens, self.trunk.grid(images)
        patches, last = self.trunk.layer_maps(images, self.layers)
        rows, columns = patches.shape[2:]
        sequences = [places.flatten(2).transpose(1, 2) for places in (last, patches)]
        return sequences[0], self.widen(sequences[1]), (rows, columns)

    def forward(
        self, views: Tensor, image: bool = True, patches: bool = True
    ) -> tuple[Any, PrototypeLogits | None]:
        """As student (Eq. 6-7): the image's summary y and the patches f^(i) themselves.

        Args:
            views: (v, B, 3, h, w).
            image: Whether the images' logits are wanted.
            patches: Whether those of the patches are.

        Returns:
            Logits (v, B, K) and (v, B, N, K'), or None.
        """
        tokens, places, _ = self.tokens(views.flatten(0, 1))
        said = own = None
        if image:
            summary = self.aggregation_head.summarize_image(tokens)
            said = self.image_head(summary.unflatten(0, views.shape[:2]))
        if patches:
            normed = self.aggregation_head.norm(places)
            own = self.patch_head(normed.unflatten(0, views.shape[:2]))
        return said, own

    def targets(self, runs: Sequence[tuple[int, Tensor]], num_images: int | None = None) -> Logits:
        """As teacher (Eq. 6-7): the image's summary y and the patches' summaries y^(i).

        Args:
            runs: Views (v, B, 3, h, w) with the number of the first one.
            num_images: The images' logits are wanted of so many views, the first ones; of all, if
                left out.
        """
        images, patches = [], {}
        for first, views in runs:
            tokens, places, grid = self.tokens(views.flatten(0, 1))
            positives = self.positives(places, grid)
            fewest = fewest_neighbours(*grid, self.neighbourhood, self.border)
            complete = positives.shape[2] <= fewest
            image, summaries = self.aggregate(self.aggregation_head, places, positives, complete)
            if places is not tokens:
                image = self.aggregation_head.summarize_image(tokens)
            images.append(image.unflatten(0, views.shape[:2]))
            patches[first] = self.patch_head(summaries.unflatten(0, views.shape[:2]))
        return Logits(self.image_head(torch.cat(images)[:num_images]), patches)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) -> what represents each of them (B, D), and its patches (B, N, D)."""
        return features_of(self.trunk, self.aggregation_head, images)

    def positives(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """P(i) of every patch (B, N, D) of a grid (rows, columns): int64 (B, N, k)."""
        neighbours = neighbour_index(*grid, self.neighbourhood, self.border, tokens.device)
        k = neighbours.shape[1] if self.k == "all" else int(self.k)
        return match_positives(tokens, neighbours, k)


Summaries = tuple[Tensor, Tensor]
"""Of the image (B, D) and of its patches (B, N, D)."""


def by_attention(
    head: AggregationHead, tokens: Tensor, positives: Tensor, complete: bool
) -> Summaries:
    """The paper's y^(i): h over the positives (Eq. 5)."""
    return head.summarize(tokens, positives, complete)


def by_mean(head: AggregationHead, tokens: Tensor, positives: Tensor, _complete: bool) -> Summaries:
    """The normalised mean of the positives in the place of h."""
    return head.summarize_image(tokens), head.norm(mean_of_positives(tokens, positives))


def by_nothing(
    head: AggregationHead, tokens: Tensor, _positives: Tensor, _complete: bool
) -> Summaries:
    """The teacher's own patch: no neighbour enters, a plain patch-to-patch distillation."""
    return head.summarize_image(tokens), head.norm(tokens)


AGGREGATIONS: dict[str, Callable[[AggregationHead, Tensor, Tensor, bool], Summaries]] = {
    "attention": by_attention,
    "mean": by_mean,
    "none": by_nothing,
}
