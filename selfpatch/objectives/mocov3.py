"""Image embeddings -> MoCo-v3's contrastive loss within the batch (Eq. 6 with its distance)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfpatch.models.distributed import gather, rank, world_size
from selfpatch.models.heads import EmbeddingHead
from selfpatch.objectives.objective import Objective


class MoCoV3(Objective, name="mocov3"):
    """Two views; each has to find the other view's key among the keys of the batch.

    Source: An Empirical Study of Training Self-Supervised Vision Transformers (MoCo-v3).

    Args:
        hidden_dim: Hidden width of projector and predictor.
        out_dim: Width K of an embedding.
        temperature: Temperature of the similarities.
    """

    def __init__(
        self,
        hidden_dim: int = 4096,
        out_dim: int = 256,
        temperature: float = 0.2,
    ) -> None:
        super().__init__()
        self.head_arguments: dict[str, Any] = {
            "hidden_dim": hidden_dim, "out_dim": out_dim, "bias": False, "last_norm": True,
        }  # fmt: skip
        self.predictor = EmbeddingHead(out_dim, num_layers=2, **self.head_arguments)
        self.temperature = temperature

    def build_head(self, embed_dim: int) -> nn.Module:
        """The projector g, of which the teacher has a copy."""
        return EmbeddingHead(embed_dim, num_layers=3, **self.head_arguments)

    def forward(self, student: Tensor, teacher: Tensor, teacher_temp: float) -> Tensor:
        """Sum over both directions of 2 * temperature * mean cross-entropy of finding the key.

        Args:
            student: (2 or more, B, K).
            teacher: (2 or more, B, K).
            teacher_temp: Not used; keys and queries share one temperature.
        """
        queries = F.normalize(self.predictor(student[:2]).float(), dim=-1)
        keys = F.normalize(teacher[:2].float(), dim=-1)
        num_images = queries.shape[1]
        own = torch.arange(num_images, device=keys.device) * world_size() + rank()
        losses = []
        with torch.autocast(queries.device.type, enabled=False):
            for query, key in ((0, 1), (1, 0)):
                logits = queries[query] @ gather(keys[key]).T / self.temperature
                losses.append(2 * self.temperature * F.cross_entropy(logits, own))
        return losses[0] + losses[1]
