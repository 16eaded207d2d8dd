"""Which images pay for a correction: a two-fold search for subgroups of a class that became worse.

A correction that helps what was described may harm what nobody thought of. Along each axis of what
is seen in the images (see `clarify.discover.settings`) and from either end, the search takes the cut
whose images became worse for sure on one fold, and counts what became of the other fold's images
beyond that cut; then the other way round. No image is counted by a cut that it had part in.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.method.arrays import bool_vector, generator, label_vector
from clarify.method.decisions.paired import Paired, paired

__all__ = ["LEAST", "Subgroup", "find_subgroups"]

LEAST = 10
"""Images of a subgroup on the fold that it is chosen on: fewer are luck."""

SURE = 1.645
"""Of the lower bound by which a cut is chosen."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup:
    """Images of a class towards one end of an axis.

    Parameters
    ----------
    label : int
        The class.
    axis : int
    high : bool
        Whether they lie towards the upper end.
    changed : Paired
        What became of them, on images that the cut was not chosen on.
    """

    label: int
    axis: int
    high: bool
    changed: Paired


def find_subgroups(
    labels: ArrayLike, old: ArrayLike, new: ArrayLike, axes: NDArray[np.floating], *, seed: int = 0
) -> tuple[Subgroup, ...]:
    """Search for subgroups that became worse; each is one test of those that the caller corrects for.

    Parameters
    ----------
    labels : array_like of int, (N,)
    old, new : array_like of bool, (N,)
        Which images either model gets right; neither was fitted to them.
    axes : (N, A) float
        Where each image lies on A axes.
    seed : int
        Of the folds.

    Returns
    -------
    tuple of Subgroup
        One for each end of each axis in each class with at least ``2 * LEAST`` images a fold.

    Raises
    ------
    GroupError, InputError
        For arrays that do not fit.
    """
    truth = label_vector(labels, n_classes=int(np.max(labels, initial=0)) + 1)
    before = bool_vector(old, what="old", length=len(truth))
    after = bool_vector(new, what="new", length=len(truth))
    first = generator(seed, "subgroups").random(len(truth)) < 0.5
    found = []
    for label in np.unique(truth):
        rows = np.flatnonzero(truth == label)
        folds = (rows[first[rows]], rows[~first[rows]])
        if min(len(fold) for fold in folds) < 2 * LEAST:
            continue
        for axis in range(axes.shape[1]):
            for high in (True, False):
                place = axes[:, axis] if high else -axes[:, axis]
                changed = Paired(count=0, better=0, worse=0)
                for chosen_on, counted in (folds, folds[::-1]):
                    cut = _cut(place[chosen_on], before[chosen_on].astype(int) - after[chosen_on])
                    beyond = counted[place[counted] > cut]
                    changed = changed.plus(paired(before[beyond], after[beyond]))
                found.append(Subgroup(label=int(label), axis=axis, high=high, changed=changed))
    return tuple(found)


def _cut(place: NDArray[np.floating], fell: NDArray[np.int64]) -> float:
    """Return the place beyond which images became worse for sure, by the highest lower bound.

    Parameters
    ----------
    place : (M,) float
    fell : (M,) int
        1 where an image became worse, -1 where it became better, 0 else.
    """
    order = np.argsort(-place, kind="stable")
    ordered, values = place[order], fell[order]
    count = np.arange(1, len(order) + 1)
    mean = values.cumsum() / count
    spread = np.abs(values).cumsum() / count - mean**2 + 1 / count
    bound = mean - SURE * np.sqrt(spread / count)
    # Images in one place stay on one side, and the smallest subgroup is LEAST.
    legal = np.append(ordered[:-1] > ordered[1:], True) & (count >= LEAST)
    best = int(np.where(legal, bound, -np.inf).argmax())
    if best + 1 == len(order):
        return -np.inf
    return float((ordered[best] + ordered[best + 1]) / 2)
