"""Which images of a pool to label first for a described half: in order, without near copies.

Pure numbers: what is scored, and how a pool is read, is the workflow's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify.errors import InputError
from clarify.method.phrases.similarity import normalised

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

__all__ = ["best_rows", "distinct", "pick", "spread_out"]

NEAR = 0.998
"""Cosine from which two images are copies of each other: of other drawings the small CLIP sees at most .9977
(5,000 drawn birds), of other photographs EfficientNet-lite0 .87 (5,000 of Waterbirds)."""

CANDIDATES = 4_000
"""The best of a pool that are looked at for copies and for diversity: those are pairs, not rows."""

KNOWN_AT_ONCE, ROWS_AT_ONCE = 16_384, 256


def pick(
    order: ArrayLike,
    side: ArrayLike,
    take: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    known: NDArray[np.floating],
    *,
    most: int,
    spread: bool,
) -> tuple[NDArray[np.int64], int]:
    """Choose which images of a pool to label first.

    Parameters
    ----------
    order : (N,) float
        Higher is better.
    side : (N,) bool
        Which may be chosen.
    take : callable
        Returns the vectors of some rows.
    known : (M, D) float
        Of what is in the data set.
    most : int
        At least 1.
    spread : bool
        Whether each is to be unlike those before it (`spread_out`); else the best come first.

    Returns
    -------
    (rows (L,) int64, int)
        In order; and how many of the best were passed over as copies.
    """
    rows = best_rows(order, side, max(CANDIDATES, 2 * most) if most > 0 else most)
    if not len(rows):
        return rows, 0
    vectors = take(rows)
    at, passed = distinct(vectors, known, most=len(rows) if spread else most)
    return rows[at[spread_out(vectors[at], most)] if spread and len(at) else at], passed


def best_rows(scores: ArrayLike, allowed: ArrayLike, most: int) -> NDArray[np.int64]:
    """Return the allowed rows of the highest scores, highest first; of equals the first row.

    Parameters
    ----------
    scores : (N,) float
        Finite; higher is better.
    allowed : (N,) bool
    most : int
        At least 1.

    Returns
    -------
    (M,) int64
        With M at most `most`.
    """
    if most < 1:
        raise InputError(f"images to collect is {most}; legal is 1 or more")
    rows = np.flatnonzero(np.asarray(allowed, dtype=np.bool_))
    values = np.asarray(scores, dtype=np.float64)[rows]
    if len(rows) > most:
        # All that are as good as the last one stay, so that equals are told apart by their row alone.
        last = np.partition(values, len(values) - most)[len(values) - most]
        rows, values = rows[values >= last], values[values >= last]
    return rows[np.argsort(-values, kind="stable")][:most]


def distinct(
    vectors: ArrayLike, known: NDArray[np.floating], *, most: int, near: float = NEAR
) -> tuple[NDArray[np.int64], int]:
    """Take rows in turn, unless one that was taken, or is known, is nearly the same.

    Parameters
    ----------
    vectors : (N, D) float
        Of any length but zero; the best first.
    known : (M, D) float
        What is there already; may lie on disk, and is read in parts.
    most : int
        So many are taken at most.
    near : float
        Cosine from which two are copies.

    Returns
    -------
    (rows (L,) int64, int)
        Those taken, in order; and how many were passed over as copies.
    """
    rows = normalised(vectors)
    taken = list[int]()
    for start in range(0, len(rows), ROWS_AT_ONCE):
        batch = rows[start : start + ROWS_AT_ONCE]
        # Known ones are many and read from the disk: only for those that may still be taken.
        free = np.ones(len(batch), dtype=np.bool_)
        for old in [known[at : at + KNOWN_AT_ONCE] for at in range(0, len(known), KNOWN_AT_ONCE)]:
            free &= (batch @ normalised(old).T).max(axis=1) < near
        if taken:
            free &= (batch @ rows[taken].T).max(axis=1) < near
        for at in range(len(batch)):
            if len(taken) == most:
                return np.array(taken, dtype=np.int64), start + at - most
            if free[at]:
                taken.append(start + at)
                free[at + 1 :] &= batch[at + 1 :] @ batch[at] < near
    return np.array(taken, dtype=np.int64), len(rows) - len(taken)


def spread_out(vectors: ArrayLike, most: int) -> NDArray[np.int64]:
    """Take the first row, then always the one that is farthest from all that were taken (Gonzalez 1985).

    Parameters
    ----------
    vectors : (N, D) float
        Of any length but zero; N at least 1, the best first.
    most : int
        So many are taken at most.

    Returns
    -------
    (min(N, most),) int64
        In the order in which they are taken; of equals the first row.
    """
    rows = normalised(vectors)
    taken = [0]
    closest = rows @ rows[0]
    while len(taken) < min(most, len(rows)):
        closest[taken[-1]] = np.inf  # never again
        taken.append(int(np.argmin(closest)))
        closest = np.maximum(closest, rows @ rows[taken[-1]])
    return np.array(taken, dtype=np.int64)
