"""Several reviewers on one class: which phrases are one idea, who stands behind it, whom to follow.

Two phrases are one idea if they part the class's images alike: no word of them needs to be the same. A
reviewer counts by what their phrases were confirmed to bring, never by how many agree with them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import InputError

__all__ = ["CAP", "ONE_IDEA", "SHRINK", "alpha", "consensus", "ideas_of", "overlaps", "weights_of"]

ONE_IDEA = 0.6
"""Jaccard index of two halves from which their phrases are one idea, as among a machine's suggestions."""

SHRINK = 3.0
"""Phrases of no gain that stand beside a reviewer's own, so that one lucky phrase is not yet a reputation."""

CAP = 0.25
"""A reviewer has no more of all weight than this, or than an equal share where there are few of them."""


def overlaps(halves: ArrayLike) -> NDArray[np.float64]:
    """Return the Jaccard index of each pair of M halves (M, N) of the same images: (M, M), in [0, 1].

    A half and its complement part the images alike, so the greater index of both counts.
    """
    having = np.asarray(halves, dtype=np.float64)
    if having.ndim != 2 or not having.size:
        raise InputError(f"halves of shape {having.shape}; a row of images for each phrase is legal")
    return np.asarray(np.maximum(_jaccard(having, having), _jaccard(having, 1 - having)))


def _jaccard(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    both = one @ other.T
    either = one.sum(axis=1)[:, None] + other.sum(axis=1)[None, :] - both
    return np.asarray(np.divide(both, either, out=np.zeros_like(both), where=either > 0))


def ideas_of(halves: ArrayLike, order: ArrayLike) -> NDArray[np.int64]:
    """Return the idea of each of M phrases (M,), numbered from 0 in the order given.

    In turn each phrase joins the idea whose first phrase it parts most alike, if that is alike enough
    (`ONE_IDEA`), or begins its own: an idea is never a chain of neighbours.

    Parameters
    ----------
    halves : (M, N) bool
        Which images are on the side of each.
    order : (M,) float
        Higher first, such as what each brings; of equals the first row.
    """
    alike = overlaps(halves)
    found, heads = np.full(len(alike), -1, dtype=np.int64), list[int]()
    for row in np.argsort(-np.asarray(order, dtype=np.float64), kind="stable").tolist():
        near = alike[row, heads]
        if len(heads) and near.max() >= ONE_IDEA:
            found[row] = int(near.argmax())
        else:
            found[row] = len(heads)
            heads.append(row)
    return found


def weights_of(reviewers: Sequence[str], gains: Sequence[float | None]) -> dict[str, float]:
    """Return how much each reviewer counts, by what M phrases of theirs were confirmed to bring; sums to 1.

    The mean gain of a reviewer, shrunken towards none (`SHRINK`), losses counting as losses; who brings
    nothing counts nothing. Nobody has more than `CAP`: what is over goes to the others who brought something,
    and where these are too few, all of them share alike. Where nobody brought anything, everybody does.

    Parameters
    ----------
    reviewers, gains : of M
        Whose each phrase is; its gain, None where nobody measured it.
    """
    names = list(dict.fromkeys(reviewers))
    of_each = {
        name: [gain for who, gain in zip(reviewers, gains, strict=True) if who == name and gain is not None]
        for name in names
    }
    worth = np.array([max(0.0, sum(each) / (len(each) + SHRINK)) for each in of_each.values()])
    if not worth.any():
        worth = np.ones(len(names))
    return dict(zip(names, _capped(worth / worth.sum()).tolist(), strict=True)) if names else {}


def _capped(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give what is over the cap to those under it, by their shares, until nobody is over."""
    cap = max(CAP, 1 / np.count_nonzero(shares))
    over = np.zeros(len(shares), dtype=np.bool_)
    while (shares > cap + 1e-12).any():
        over |= shares > cap
        rest = ~over & (shares > 0)
        if not rest.any():
            return np.where(over, 1 / over.sum(), 0.0)
        left = 1 - cap * over.sum()
        shares = np.where(over, cap, np.where(rest, shares / shares[rest].sum() * left, 0.0))
    return shares


def consensus(halves: ArrayLike, reviewers: Sequence[str], weights: dict[str, float]) -> NDArray[np.float64]:
    """Return the share of all weight that puts each image on the side of the errors, (N,) in [0, 1].

    A reviewer counts once, however many phrases they said: theirs is the mean of their halves.

    Parameters
    ----------
    halves : (M, N) bool
        The side on which each phrase has the errors.
    """
    having = np.asarray(halves, dtype=np.float64)
    said = np.array(reviewers)
    means = [weights[name] * having[said == name].mean(axis=0) for name in dict.fromkeys(reviewers)]
    return np.asarray(np.sum(means, axis=0) / sum(weights[name] for name in dict.fromkeys(reviewers)))


def alpha(values: ArrayLike) -> float | None:
    """Return Krippendorff's alpha for nominal values: 1 is full agreement, 0 what chance gives.

    Source: Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011.

    Parameters
    ----------
    values : (R, N) float
        What each of R reviewers says of each of N images; NaN where nothing.

    Returns
    -------
    float or None
        None where no image has two values, or all values are the same: then nothing can be said.
    """
    said = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(said)
    kinds = np.unique(said[known])
    counts = np.stack([(said == kind).sum(axis=0) for kind in kinds]) if len(kinds) else np.zeros((1, 1))
    pairable = counts[:, counts.sum(axis=0) >= 2].astype(np.float64)
    raters, totals = pairable.sum(axis=0), pairable.sum(axis=1)
    n = totals.sum()
    expected = (n**2 - (totals**2).sum()) / (n - 1) if n > 1 else 0.0
    if not expected:
        return None
    observed = ((raters**2 - (pairable**2).sum(axis=0)) / (raters - 1)).sum()
    return float(1 - observed / expected)
