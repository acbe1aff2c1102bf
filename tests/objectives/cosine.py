"""An image objective of a user's own, in one file: each view resembles the teacher's other one."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfpatch.objectives.objective import Objective


class Cosine(Objective, name="cosine"):
    """One minus the cosine between a view's embedding and the teacher's other, centred one."""

    center: Tensor

    def __init__(self, out_dim: int) -> None:
        super().__init__()
        self.out_dim = out_dim
        self.register_buffer("center", torch.zeros(out_dim))

    def build_head(self, embed_dim: int) -> nn.Module:
        return nn.Linear(embed_dim, self.out_dim)

    def forward(
        self, student: Tensor, teacher: Tensor, teacher_temp: float, first: int, num_views: int
    ) -> Tensor:
        return (
            1 - F.cosine_similarity(student[:2], teacher[:2].flip(0) - self.center, dim=-1).mean()
        )

    def update(self, teacher: Tensor) -> None:
        self.center.lerp_(teacher.flatten(0, 1).mean(0), 0.1)
