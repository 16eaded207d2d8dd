"""Where samples are cut best: two where their distributions are furthest apart, one where it parts in two.

`clarify.method.phrases.error_score` is the public side of the former.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_gap", "concept_threshold", "threshold_between"]

COARSE_FROM = 2_048
"""Above so many images in the smaller sample, most cuts are ruled out without a search."""

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


def concept_threshold(scores: Floats) -> float:
    """Return where scores (N,) part in two: where the variance between both sides is largest.

    Source: Otsu 1979, "A threshold selection method from gray-level histograms", over all values. Equal
    scores stay on one side; where all are equal, the threshold is that value, and nothing lies above it.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    count = np.arange(1, len(ordered))
    total = ordered.cumsum()
    below, above = total[:-1] / count, (total[-1] - total[:-1]) / (len(ordered) - count)
    between = count * (len(ordered) - count) * (above - below) ** 2
    between[ordered[1:] == ordered[:-1]] = -1.0
    if not len(between) or between.max() < 0:
        return float(ordered[-1])
    best = int(between.argmax())
    return threshold_between(float(ordered[best]), float(ordered[best + 1]))


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
