"""Correct a last layer: erase what phrases describe, fit an objective, choose, refit.

What can be varied is the objective, an erasure before it, the rule that chooses the weight decay,
and whether the images that people looked at are fitted as well (*refit*). Any of these with any
other. No image is ever predicted by a head that was fitted to it: after a refit the predictions of
validation come from heads that were fitted to its other half.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from clarify.method.arrays import generator
from clarify.method.fit.erasure import Concept, Erasure
from clarify.method.fit.head import Head, Standardisation
from clarify.method.fit.large import is_large
from clarify.method.fit.objectives import Objective
from clarify.method.fit.selection import Selection, select
from clarify.method.fit.solver import Report
from clarify.method.fit.training import WEIGHT_DECAYS, Fit, fit_head, sweep
from clarify.method.groups.groups import Groups

__all__ = ["Corrected", "Eraser", "Images", "correct", "cross_fitted"]

FOLDS = 2
CROSS_FOLDS = 5
"""Of training images that are predicted: each head is fitted to four fifths, nearly what it will be."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """Images that a head is fitted to, or chosen by.

    Parameters
    ----------
    features : ndarray of float, (N, D)
    labels : ndarray of int64, (N,)
    groups : DescribedGroups or AnnotatedGroups
        Of these images.
    concepts : tuple of Concept
        What the phrases say of them; only erasure asks for these.
    """

    features: NDArray[np.floating]
    labels: NDArray[np.int64]
    groups: Groups
    concepts: tuple[Concept, ...] = ()

    def take(self, rows: NDArray[np.int64]) -> Images:
        """Return some of them, in the order given."""
        return Images(
            features=self.features[rows],
            labels=self.labels[rows],
            groups=dataclasses.replace(self.groups, index=self.groups.index[rows]),
            concepts=tuple(each.take(rows) for each in self.concepts),
        )

    def joined(self, other: Images) -> Images:
        """Return these and then others, whose groups and concepts are the same ones."""
        index = np.concatenate((self.groups.index, other.groups.index))
        return Images(
            features=np.concatenate((self.features, other.features)),
            labels=np.concatenate((self.labels, other.labels)),
            groups=dataclasses.replace(self.groups, index=index),
            concepts=tuple(one.joined(two) for one, two in zip(self.concepts, other.concepts, strict=True)),
        )


Eraser: TypeAlias = Callable[[Images, Standardisation], Erasure]
"""Finds what to erase, from the images that the head is then fitted to."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corrected:
    """A corrected head.

    Parameters
    ----------
    table : tuple of (float, float)
        Each weight decay with its score by the rule.
    held_out : ndarray of float64, (N, K)
        Probabilities of the validation images, each by a head that was not fitted to it.
    """

    fit: Fit
    table: tuple[tuple[float, float], ...]
    held_out: NDArray[np.float64]


def cross_fitted(
    train: Images,
    class_names: Sequence[str],
    objective: Callable[[Images], Objective],
    weight_decay: float,
    *,
    start: Head,
    beside: Images | None = None,
    eraser: Eraser | None = None,
) -> NDArray[np.int64]:
    """Predict each training image by a head that was not fitted to it. Deterministic.

    Parameters
    ----------
    train : Images
        N of them, in five folds with as many of each group.
    objective : callable
        Given the images that are fitted, what is minimised.
    weight_decay : float
        That of the head which is judged by this.
    start : Head
        Where every fit starts from: that head.
    beside : Images, optional
        Fitted with every fold: validation images, after a refit.

    Returns
    -------
    ndarray of int64, (N,)

    Raises FeatureError, GroupError, InputError, SolverError as `fit_head` and the eraser.
    """
    found = np.empty(len(train.labels), dtype=np.int64)
    fold_of = _folds(train.groups.index, CROSS_FOLDS)
    for fold in range(CROSS_FOLDS):
        unseen = np.flatnonzero(fold_of == fold)
        seen = train.take(np.flatnonzero(fold_of != fold))
        images = seen if beside is None else seen.joined(beside)
        head = fit_head(
            images.features,
            images.labels,
            class_names,
            objective(images),
            weight_decay,
            erasure=_erasure(eraser, images),
            start=start,
        ).head
        found[unseen] = head.predict(train.features[unseen])
    return found


def correct(
    train: Images,
    validation: Images,
    class_names: Sequence[str],
    objective: Callable[[Images], Objective],
    rule: Selection,
    *,
    chosen_by: Groups | None = None,
    eraser: Eraser | None = None,
    refit: bool = False,
    base: tuple[Head, float] | None = None,
    progress: Report | None = None,
) -> Corrected:
    """Fit a head and choose its weight decay on validation. Deterministic.

    Parameters
    ----------
    train, validation : Images
        With groups of the same names.
    class_names : sequence of str, (K,)
    objective : callable
        Given the images that are fitted, what is minimised.
    chosen_by : DescribedGroups or AnnotatedGroups, optional
        Of validation, for the rule; by default those that it has.
    refit : bool
        Whether the chosen weight decay is fitted to training and validation images together.
    base : (Head, float), optional
        The head that is corrected, with its weight decay. A large problem (see `large`) is fitted at this
        one alone and from this head: ten weight decays would cost as much as the base did.
    progress : callable, optional
        Told of the steps of the sweep.

    Raises FeatureError, GroupError, InputError, SolverError as `sweep`, `select` and the eraser.
    """

    def fitted(images: Images) -> Fit:
        return fit_head(
            images.features,
            images.labels,
            class_names,
            objective(images),
            chosen.fit.weight_decay,
            erasure=_erasure(eraser, images),
            start=chosen.fit.head,
        )

    start, decays = None, WEIGHT_DECAYS
    if base is not None and is_large(train.features, len(class_names)):
        start, decays = base[0], (base[1],)
    fits = sweep(
        train.features,
        train.labels,
        class_names,
        objective(train),
        decays,
        start=start,
        erasure=_erasure(eraser, train),
        progress=progress,
    )
    chosen = select(
        fits,
        validation.features,
        validation.labels,
        rule,
        groups=validation.groups if chosen_by is None else chosen_by,
    )
    if not refit:
        held_out = chosen.fit.head.probabilities(validation.features)
        return Corrected(fit=chosen.fit, table=chosen.table, held_out=held_out)
    held_out = np.empty((len(validation.labels), len(class_names)))
    fold_of = _folds(validation.groups.index, FOLDS)
    for fold in range(FOLDS):
        seen, unseen = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        head = fitted(train.joined(validation.take(seen))).head
        held_out[unseen] = head.probabilities(validation.features[unseen])
    return Corrected(fit=fitted(train.joined(validation)), table=chosen.table, held_out=held_out)


def _erasure(eraser: Eraser | None, images: Images) -> Erasure | None:
    return None if eraser is None else eraser(images, Standardisation.fit(images.features))


def _folds(groups: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the fold of each image, those of a group spread evenly."""
    rng = generator(0, "folds")
    fold_of = np.empty(len(groups), dtype=np.int64)
    begin = 0
    for group in np.unique(groups):
        rows = rng.permutation(np.flatnonzero(groups == group))
        fold_of[rows] = (begin + np.arange(len(rows))) % count
        begin += len(rows)
    return fold_of
