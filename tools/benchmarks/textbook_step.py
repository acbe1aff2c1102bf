"""Views -> a training step of DINO, alone or with SelfPatch, as the papers' formulas say it.

All logits at once, every loss a log-softmax of them, class attention over copies of each patch's
positives, loops over parameters: the yardstick of :mod:`tools.benchmarks.step`. It takes its layers
from the model that it is compared with, and with them the same weights.
"""

import copy
from collections.abc import Iterable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from selfpatch.engine.pretrainer import Pretrainer
from selfpatch.models.heads import AggregationHead, ClassAttentionBlock, ProjectionHead
from selfpatch.models.neighbours import neighbour_index
from selfpatch.models.networks import image_token

STUDENT_TEMP, TEACHER_TEMP, CENTER_MOMENTUM, CLIP_NORM, PATCH_WEIGHT = 0.1, 0.04, 0.9, 3.0, 0.1


class Textbook:
    """A student, its teacher and their optimiser, which leave ``model`` as it is.

    Args:
        model: DINO with a ViT, alone or with the paper's SelfPatch.
        lr: Learning rate.
        weight_decay: Of what decays.
    """

    def __init__(self, model: Pretrainer, lr: float, weight_decay: float) -> None:
        self.student, self.teacher = copy.deepcopy(model.student), copy.deepcopy(model.teacher)
        for network in (self.student, self.teacher):
            for block in network.trunk.blocks:
                cast(Any, block).attn.fused_attn = False
        self.with_patches = model.patch_loss is not None
        trained = [p for p in self.student.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=lr, foreach=False)
        self.center: Tensor | float = 0.0
        self.patch_center: Tensor | float = 0.0

    def step(self, views: list[Tensor], momentum: float, dtype: torch.dtype) -> float:
        """One whole step; returns its loss."""
        sizes = [views[:2], views[2:]]
        device = views[0].device.type
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            with torch.no_grad():
                seen = sizes if self.with_patches else sizes[:1]
                taught = [self.look(self.teacher, crops, teacher=True) for crops in seen]
            said = [self.look(self.student, crops, teacher=False) for crops in sizes]
            loss = self.loss(said, taught)
        value = loss.item()
        self.optimizer.zero_grad()
        loss.backward()
        clip(self.student.parameters())
        self.optimizer.step()
        follow(self.teacher.parameters(), self.student.parameters(), momentum)
        return value

    def look(
        self, network: Any, crops: list[Tensor], teacher: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Equal crops -> logits of their images (V, B, K), and of their patches (V, B * N, K')."""
        tokens = network.trunk(torch.cat(crops))
        if not self.with_patches:
            image = image_token(network.trunk, tokens)
            return whole(network.image_head, image).unflatten(0, (len(crops), -1)), None
        head = network.aggregation_head
        image = head.norm(summarize(head, tokens))
        patches = head.norm(summaries(head, tokens) if teacher else tokens)
        patches = whole(network.patch_head, patches.flatten(0, -2))
        return tuple(
            logits.unflatten(0, (len(crops), -1))
            for logits in (whole(network.image_head, image), patches)
        )

    def loss(self, said: list, taught: list) -> Tensor:
        """Eq. 8; and both centres move."""
        student, teacher = ([view for i, _ in part for view in i] for part in (said, taught))
        terms = [
            cross_entropy(own, target, self.center)
            for t, target in enumerate(teacher[:2])
            for v, own in enumerate(student)
            if v != t
        ]
        loss = torch.stack(terms).mean()
        self.center = moved(self.center, teacher)
        if self.with_patches:
            own, targets = ([view for _, p in part for view in p] for part in (said, taught))
            pairs = zip(own, targets, strict=True)
            terms = [cross_entropy(*pair, self.patch_center) for pair in pairs]
            loss = loss + PATCH_WEIGHT * torch.stack(terms).mean()
            self.patch_center = moved(self.patch_center, targets)
        return loss


def whole(head: ProjectionHead, x: Tensor) -> Tensor:
    """(..., D) -> logits (..., K), with normalised prototypes."""
    layer = head.last_layer
    vectors = F.normalize(head.mlp(x), dim=-1)
    return F.linear(vectors, layer.weight_g * F.normalize(layer.weight_v, dim=1))


def class_attention(block: ClassAttentionBlock, summary: Tensor, tokens: Tensor) -> Tensor:
    """A summary (S, 1, D) and the tokens (S, T, D) that it sees -> the next summary."""
    both = block.norm1(torch.cat([summary, tokens], dim=1))
    query, keys, values = (
        block.attn[name](x).unflatten(-1, (block.num_heads, -1)).transpose(1, 2)
        for name, x in (("q", both[:, :1]), ("k", both), ("v", both))
    )
    weights = (query @ keys.transpose(-2, -1) * query.shape[-1] ** -0.5).softmax(-1)
    summary = summary + block.attn["proj"]((weights @ values).transpose(1, 2).flatten(2))
    return summary + block.mlp(block.norm2(summary))


def summarize(head: AggregationHead, tokens: Tensor) -> Tensor:
    """Eq. 4 without its norm: (S, T, D) -> (S, D)."""
    summary = head.cls_token.expand(len(tokens), -1, -1)
    for block in head.cls_blocks:
        summary = class_attention(cast(ClassAttentionBlock, block), summary, tokens)
    return summary[:, 0]


def summaries(head: AggregationHead, tokens: Tensor) -> Tensor:
    """Eq. 5 without its norm: (B, N, D) of a square image -> the patches' summaries (B, N, D)."""
    side = round(tokens.shape[1] ** 0.5)
    around = tokens[:, neighbour_index(side, side, device=tokens.device)]  # (B, N, 8, D)
    similarity = F.cosine_similarity(tokens.unsqueeze(2), around, dim=-1)
    nearest = similarity.topk(4, dim=-1).indices.unsqueeze(-1).expand(-1, -1, -1, tokens.shape[2])
    positives = around.gather(2, nearest)
    return summarize(head, positives.flatten(0, 1)).view_as(tokens)


def cross_entropy(student: Tensor, teacher: Tensor, center: Tensor | float) -> Tensor:
    """Mean of H(teacher, student) over rows (R, K)."""
    targets = ((teacher - center) / TEACHER_TEMP).softmax(-1)
    return -(targets * (student / STUDENT_TEMP).log_softmax(-1)).sum(-1).mean()


def moved(center: Tensor | float, teacher: list[Tensor]) -> Tensor:
    """The centre, a tenth of the way to the mean of all rows."""
    return CENTER_MOMENTUM * center + (1 - CENTER_MOMENTUM) * torch.cat(teacher).float().mean(0)


def clip(parameters: Iterable[nn.Parameter]) -> None:
    """Scale each gradient to a norm of 3 at most."""
    for parameter in parameters:
        if parameter.grad is not None:
            scale = CLIP_NORM / (parameter.grad.norm().item() + 1e-6)
            if scale < 1:
                parameter.grad.mul_(scale)


@torch.no_grad()
def follow(
    teacher: Iterable[nn.Parameter], student: Iterable[nn.Parameter], momentum: float
) -> None:
    """Let each weight of the teacher follow the student's."""
    for old, new in zip(teacher, student, strict=True):
        old.mul_(momentum).add_((1 - momentum) * new)
