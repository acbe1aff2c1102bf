"""Image embeddings -> MoCo-v3's contrastive loss within the batch (Eq. 6 with its distance)."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfpatch.errors import InputError
from selfpatch.models.distributed import gather, rank, world_size
from selfpatch.models.heads import EmbeddingHead
from selfpatch.models.trunks import Transformer
from selfpatch.models.vit import VisionTransformer, sine_cosine_positions
from selfpatch.objectives.objective import Objective, check_positive


class MoCoV3(Objective, name="mocov3"):
    """Two views; each has to find the other view's key among the keys of the batch.

    Source: An Empirical Study of Training Self-Supervised Vision Transformers (MoCo-v3).

    Args:
        hidden_dim: Hidden width of projector and predictor.
        out_dim: Width K of an embedding.
        temperature: Temperature of the similarities.
        freeze_patch_embed: Keep a trunk's patch projection as it was drawn, for stability.
    """

    def __init__(
        self,
        hidden_dim: int = 4096,
        out_dim: int = 256,
        temperature: float = 0.2,
        freeze_patch_embed: bool = True,
    ) -> None:
        super().__init__()
        self.head_arguments: dict[str, Any] = {
            "hidden_dim": hidden_dim, "out_dim": out_dim, "bias": False, "last_norm": True,
        }  # fmt: skip
        check_positive(temperature=temperature)
        self.predictor = EmbeddingHead(out_dim, num_layers=2, **self.head_arguments)
        self.temperature = temperature
        self.freeze_patch_embed = freeze_patch_embed

    def prepare(self, trunk: Transformer) -> None:
        """Xavier's ranges, positions of sines and cosines that are not trained, as in ``vits.py``.

        Queries, keys and values each have a range of their own. A Swin, which its authors do not
        have, has no positions to fix.
        """
        for name, module in trunk.named_modules():
            if isinstance(module, nn.Linear):
                width_out = len(module.weight) // (3 if name.endswith("qkv") else 1)
                xavier_uniform(module.weight, width_out + module.in_features)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        projection = trunk.patch_embed.proj
        xavier_uniform(projection.weight, projection.weight[0].numel() + trunk.layer_dims[0])
        nn.init.zeros_(projection.bias)
        if self.freeze_patch_embed:
            trunk.patch_embed.requires_grad_(False)
        if isinstance(trunk, VisionTransformer):
            own = int(trunk.cls_token is not None)
            if trunk.cls_token is not None:
                nn.init.normal_(trunk.cls_token, std=1e-6)
            if trunk.pos_embed is None:
                raise InputError("MoCo-v3 has fixed positions; leave rotary=True out of the trunk")
            trunk.pos_embed.data.zero_()[:, own:] = sine_cosine_positions(
                *trunk.native_grid, trunk.embed_dim
            )
            trunk.pos_embed.requires_grad_(False)

    def build_head(self, embed_dim: int) -> nn.Module:
        """The projector g, of which the teacher has a copy."""
        return EmbeddingHead(embed_dim, num_layers=3, **self.head_arguments)

    def forward(
        self,
        student: Tensor,
        teacher: Tensor,
        teacher_temp: float,
        first: int = 0,
        num_views: int = 2,
    ) -> Tensor:
        """Sum over both directions of 2 * temperature * mean cross-entropy of finding the key.

        Args:
            student: (2 or more, B, K).
            teacher: (2 or more, B, K).
            teacher_temp: Not used; keys and queries share one temperature.
            first: 0: the two views come together.
            num_views: Not used; others are not compared.
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


def xavier_uniform(weight: Tensor, fan: int) -> None:
    """Draw from [-b, b] with b = sqrt(6 / fan), ``fan`` the widths in and out together."""
    bound = math.sqrt(6 / fan)
    nn.init.uniform_(weight, -bound, bound)
