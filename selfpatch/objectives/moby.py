"""Image embeddings -> MoBY's contrastive loss against queues of keys (Eq. 6 with its distance)."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfpatch.errors import InputError
from selfpatch.models.distributed import gather
from selfpatch.models.heads import EmbeddingHead
from selfpatch.objectives.objective import Objective, check_positive


class MoBY(Objective, name="moby"):
    """Two views; each has to find the other view's key among a queue of older keys.

    Source: Self-Supervised Learning with Swin Transformers (Transformer-SSL).

    Args:
        hidden_dim: Hidden width of projector and predictor.
        out_dim: Width K of an embedding.
        queue_size: Keys kept per view; at least as many as a batch has images.
        temperature: Temperature of the similarities.
    """

    queues: Tensor
    position: Tensor

    def __init__(
        self,
        hidden_dim: int = 4096,
        out_dim: int = 256,
        queue_size: int = 4096,
        temperature: float = 0.2,
    ) -> None:
        super().__init__()
        self.head_arguments: dict[str, Any] = {
            "num_layers": 2,
            "hidden_dim": hidden_dim,
            "out_dim": out_dim,
        }
        check_positive(temperature=temperature, queue_size=queue_size)
        self.predictor = EmbeddingHead(out_dim, **self.head_arguments)
        self.temperature = temperature
        self.register_buffer("queues", F.normalize(torch.randn(2, queue_size, out_dim), dim=-1))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    def check(self, view_sizes: Sequence[int], num_images: int) -> None:
        """See :meth:`Objective.check`; the queue has to take all keys of a batch."""
        super().check(view_sizes, num_images)
        size = self.queues.shape[1]
        if size < num_images:
            raise InputError(
                f"a queue of {size} keys does not take the {num_images} images of a batch over all"
                " processes; raise model.objective.queue_size or lower total_batch_size"
            )

    def build_head(self, embed_dim: int) -> nn.Module:
        """The projector g, of which the teacher has a copy."""
        return EmbeddingHead(embed_dim, **self.head_arguments)

    def forward(
        self,
        student: Tensor,
        teacher: Tensor,
        teacher_temp: float,
        first: int = 0,
        num_views: int = 2,
    ) -> Tensor:
        """Sum over both directions of the mean cross-entropy of finding the key.

        Args:
            student: (2 or more, B, K).
            teacher: (2 or more, B, K).
            teacher_temp: Not used; keys and queries share one temperature.
            first: 0: the two views come together.
            num_views: Not used; others are not compared.
        """
        queries = F.normalize(self.predictor(student[:2]).float(), dim=-1)
        keys = F.normalize(teacher[:2].float(), dim=-1)
        return sum(self._directions(queries, keys), start=torch.zeros((), device=keys.device))

    def _directions(self, queries: Tensor, keys: Tensor) -> Iterator[Tensor]:
        with torch.autocast(queries.device.type, enabled=False):
            for query, key, queue in ((0, 1, 1), (1, 0, 0)):
                positive = (queries[query] * keys[key]).sum(-1, keepdim=True)
                # A copy, since the queue moves on before the backward pass needs it.
                negative = queries[query] @ self.queues[queue].clone().T
                logits = torch.cat([positive, negative], dim=1) / self.temperature
                yield F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))

    @torch.no_grad()
    def update(self, teacher: Tensor) -> None:
        """Put this step's keys, of all processes, in the place of the oldest ones."""
        keys = torch.stack([gather(F.normalize(view.float(), dim=-1)) for view in teacher[:2]])
        size = self.queues.shape[1]
        places = (self.position + torch.arange(keys.shape[1], device=keys.device)) % size
        self.queues[:, places] = keys
        self.position.copy_((self.position + keys.shape[1]) % size)
