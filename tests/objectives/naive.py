"""Losses written as plain loops from their formulas."""

import math

import torch
import torch.nn.functional as F

from selfpatch.models.heads import PrototypeLayer, PrototypeLogits


def as_logits(values: torch.Tensor) -> PrototypeLogits:
    """Logits that are ``values``: those of the unit vectors as prototypes."""
    layer = PrototypeLayer(values.shape[-1], values.shape[-1], fixed_norm=True)
    layer.weight_v.data.copy_(torch.eye(values.shape[-1]))
    layer.requires_grad_(False)
    return PrototypeLogits(values, layer)


def naive_cross_entropy(student, teacher, center, student_temp, teacher_temp) -> float:
    log_p = (student / student_temp).log_softmax(0)
    q = ((teacher - center) / teacher_temp).softmax(0)
    return float(-(q * log_p).sum())


def nearest(query, keys, right: int, temperature: float) -> float:
    """-log of the softmax share of ``keys[right]``, by hand."""
    scores = [math.exp(float(F.cosine_similarity(query, key, dim=0)) / temperature) for key in keys]
    return -math.log(scores[right] / sum(scores))
