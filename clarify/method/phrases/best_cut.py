"""The two-sample Kolmogorov-Smirnov statistic: where its best cut lies, and its p-value.

`clarify.method.phrases.error_score` is the public side of this.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXACT_UP_TO", "best_gap", "p_value", "threshold_between"]

COARSE_FROM = 2_048
"""Above so many images in the smaller sample, most cuts are ruled out without a search."""

EXACT_UP_TO = 10_000
"""The p-value is exact while both samples have at most so many images (as in scipy)."""

Floats: TypeAlias = NDArray[np.float64]


def best_gap(few: Floats, many: Floats) -> tuple[float, float]:
    """Return the neighbouring values (below, above) between which the best cut lies.

    Differences are compared as whole numbers, so that equally good cuts are seen as equal. Inside
    a run of equal values of `few` only the last element (for cuts after it) or the first (for
    cuts before it) reaches the true difference; the others fall short and never win.
    """
    places = _promising(few, many) if len(few) > COARSE_FROM else np.arange(len(few))
    after, before = _differences(places, few, many)
    best = max(after.max(), before.max())
    if best == 0:  # the samples are alike: any cut is as good as none
        return float(few[-1]), float(few[-1])
    low, high = few[places[after == best]], few[places[before == best]]
    below = np.concatenate((low, _previous(high, few, many)))
    above = np.concatenate((_following(low, few, many), high))
    widths = above - below
    widest = np.flatnonzero(widths == widths.max())
    chosen = widest[below[widest].argmin()]
    return float(below[chosen]), float(above[chosen])


def _differences(
    places: NDArray[np.int64], few: Floats, many: Floats
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ``n_few n_many (F_few - F_many)`` at, and its negative just before, few[places]."""
    values, ranks = few[places], places * len(many)
    after = (ranks + len(many)) - many.searchsorted(values, side="right") * len(few)
    before = many.searchsorted(values, side="left") * len(few) - ranks
    return after, before


def _promising(few: Floats, many: Floats) -> NDArray[np.int64]:
    """Return the places of `few` that can hold the largest difference, by looking at one in 32.

    Both distribution functions only rise, so two looks bound every difference between them; most
    stretches cannot reach the largest difference seen and need no search at all.
    """
    stride = 32
    grid = np.append(np.arange(0, len(few) - 1, stride), len(few) - 1)
    after, before = _differences(grid, few, many)
    rise = np.diff(grid) * len(many)
    reachable = np.maximum(after[:-1], before[1:]) + rise
    kept = np.flatnonzero(reachable >= max(after.max(), before.max()))
    marked = np.zeros(len(few) + stride, dtype=np.bool_)
    marked[(grid[kept][:, None] + np.arange(stride + 1)).ravel()] = True
    return np.flatnonzero(marked[: len(few)])


def _following(values: Floats, *samples: Floats) -> Floats:
    """Return the smallest value of the samples above each value; one must exist."""
    ends = (s[np.minimum(s.searchsorted(values, side="right"), len(s) - 1)] for s in samples)
    candidates = [np.where(end > values, end, np.inf) for end in ends]
    return np.minimum(*candidates)


def _previous(values: Floats, *samples: Floats) -> Floats:
    """Return the largest value of the samples below each value; one must exist."""
    ends = (s[np.maximum(s.searchsorted(values, side="left") - 1, 0)] for s in samples)
    candidates = [np.where(end < values, end, -np.inf) for end in ends]
    return np.maximum(*candidates)


def threshold_between(below: float, above: float) -> float:
    """Return a threshold with ``below <= threshold < above``, midway where a number is there.

    Where both neighbours are float32 numbers so is the threshold: then it cuts the same images
    if somebody compares in single precision.
    """
    middle = below / 2 + above / 2
    if abs(middle) < 1e38:
        single = float(np.float32(middle))
        if all(float(np.float32(end)) == end for end in (below, above)):
            middle = single
    return middle if below <= middle < above else below


@lru_cache(maxsize=1024)
def p_value(value: float, n_correct: int, n_wrong: int) -> float:
    """Return the two-sided p-value of a statistic: exact for small samples, else asymptotic."""
    if max(n_correct, n_wrong) <= EXACT_UP_TO:
        reach = round(value * n_correct * n_wrong)
        return _share_of_paths_reaching(reach, n_correct, n_wrong)
    from scipy.stats import kstwo

    effective = n_correct * n_wrong / (n_correct + n_wrong)
    return float(np.clip(kstwo.sf(value, round(effective)), 0.0, 1.0))


def _share_of_paths_reaching(reach: int, n_first: int, n_second: int) -> float:
    """Return the share of lattice paths to (n_first, n_second) with ``|i n2 - j n1| >= reach``.

    Under the null hypothesis every order of the pooled images is equally likely: a path of steps
    right (first sample) and up (second), drawn without replacement. The mass still inside the band
    is moved one anti-diagonal at a time, and what steps out is added up; nothing is subtracted,
    so that small probabilities keep their digits (Hodges 1958).
    """
    if reach <= 0:
        return 1.0
    total = n_first + n_second
    inside, low, outside = np.ones(1), 0, 0.0
    for step in range(total):
        share = (n_first - np.arange(low, low + len(inside))) / (total - step)
        moved = np.zeros(len(inside) + 1)
        moved[:-1] = inside * (1.0 - share)
        moved[1:] += inside * share
        centre = (step + 1) * n_first
        new_low = max((centre - reach) // total + 1, low)
        new_high = min(-((-centre - reach) // total) - 1, low + len(inside))
        if new_low > new_high:
            return 1.0
        outside += float(moved[: new_low - low].sum() + moved[new_high - low + 1 :].sum())
        inside, low = moved[new_low - low : new_high - low + 1], new_low
    return min(1.0, outside)
