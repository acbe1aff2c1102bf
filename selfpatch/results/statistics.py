"""A model's values by seed -> mean and deviation; those of two models -> difference, interval."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev, variance

Seeds = tuple[int | None, int | None]
"""Seed of the pretraining and of the task; None where there is none or nobody knows it."""

Values = Mapping[Seeds, float]
"""A metric's values by seed, in percent."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """A mean minus that of the baseline.

    Attributes:
        baseline: Name of what was subtracted.
        value: In percent points; None where there is nothing to subtract from or with.
        low: Lower end of the 95 % confidence interval; None where there are too few seeds for one.
        high: Its upper end.
        how: ``paired`` or ``Welch`` where there is an interval, else the reason why there is none.
    """

    baseline: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    how: str = ""


def deviation(values: Values) -> float | None:
    """Sample standard deviation; None for fewer than two values."""
    return stdev(values.values()) if len(values) > 1 else None


def difference(own: Values, other: Values, baseline: str) -> Difference:
    """``own`` minus ``other``, with Student's interval for the true difference of the means.

    Seeds that both have in common are pairs, if all are; else Welch's interval is taken, which
    supposes neither pairs nor equal variances.
    """
    value = fmean(own.values()) - fmean(other.values())
    if min(len(own), len(other)) < 2:
        return Difference(baseline, value, how="one seed")
    paired = own.keys() == other.keys()
    half = half_of_pairs(own, other) if paired else half_of_welch(own, other)
    how = "paired" if paired else "Welch"
    return Difference(baseline, value, value - half, value + half, how)


def half_of_pairs(own: Values, other: Values) -> float:
    """Half the interval's width from the differences, seed by seed."""
    pairs = [own[seeds] - other[seeds] for seeds in own]
    return quantile(len(pairs) - 1) * stdev(pairs) / math.sqrt(len(pairs))


def half_of_welch(own: Values, other: Values) -> float:
    """Half the width of Welch's interval, with Satterthwaite's degrees of freedom."""
    squares = [variance(side.values()) / len(side) for side in (own, other)]
    total = sum(squares)
    if total == 0:  # equal values on both sides: nothing tells how far chance goes
        return 0.0
    sizes = (len(own), len(other))
    freedom = 1 / sum((s / total) ** 2 / (n - 1) for s, n in zip(squares, sizes, strict=True))
    return quantile(freedom) * math.sqrt(total)


def quantile(freedom: float) -> float:
    """Student's t that ``CONFIDENCE`` of the distribution lies within, to both sides."""
    from scipy.special import stdtrit  # here: most of a table's time, and few tables need it

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
