"""Losses written as plain loops from their formulas."""

import math

import torch.nn.functional as F


def naive_cross_entropy(student, teacher, center, student_temp, teacher_temp) -> float:
    log_p = (student / student_temp).log_softmax(0)
    q = ((teacher - center) / teacher_temp).softmax(0)
    return float(-(q * log_p).sum())


def nearest(query, keys, right: int, temperature: float) -> float:
    """-log of the softmax share of ``keys[right]``, by hand."""
    scores = [math.exp(float(F.cosine_similarity(query, key, dim=0)) / temperature) for key in keys]
    return -math.log(scores[right] / sum(scores))
