"""Images standardised once, to be fitted under many weightings: what the baselines share.

A `sweep` standardises its features and decomposes their covariance anew for each objective, which
is most of its time. The methods that Clarify is compared with try many objectives on one split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import FeatureError, InputError, SolverError, shown
from clarify.method.arrays import class_tuple, float_matrix, label_vector, unit_chunks
from clarify.method.fit.convex import Problem
from clarify.method.fit.example_weights import WeightSet
from clarify.method.fit.head import Head, Standardisation
from clarify.method.fit.links import link_for
from clarify.method.fit.objectives import Objective
from clarify.method.fit.preconditioner import Gram
from clarify.method.fit.solver import minimise

__all__ = ["DECAYS", "Candidate", "Prepared", "check_grid", "checked"]

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

DECAYS: tuple[float, ...] = (100.0, 10.0, 1.0, 0.1, 0.01, 0.001, 0.0003)
"""The baselines' grid where a fit is cheap: wider than `WEIGHT_DECAYS`, fewer a decade."""

TOLERANCE = 2e-5
"""Relative gap: that of `fit_head`."""

MOST_ITERATIONS = 3000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A head that a method offers, with what it was made by.

    Parameters
    ----------
    weight_decay : float
        Positive; of equal candidates the one with the larger is chosen.
    settings : mapping of str to float, int or str
        The method's other hyper-parameters and what it found, as they are logged.
    """

    head: Head
    weight_decay: float
    settings: Mapping[str, float | int | str]

    def __post_init__(self) -> None:
        check_grid("weight decay", (self.weight_decay,))
        object.__setattr__(self, "settings", dict(self.settings))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """Standardised features of one split and a model of their covariance.

    Parameters
    ----------
    x : ndarray of float64, (N, D)
        L2-normalised and standardised.
    labels : ndarray of int64, (N,)
        In [0, K), every class present.
    class_names : tuple of str, (K,)
    gram : Gram
        At equal weights. Other weightings are solved to the same gap, in a few more steps.
    """

    x: Array
    labels: Labels
    class_names: tuple[str, ...]
    standardisation: Standardisation
    gram: Gram

    @classmethod
    def of(cls, features: ArrayLike, labels: ArrayLike, class_names: Sequence[str]) -> Prepared:
        """Check and prepare raw features (N, D) with labels (N,); raises as `checked` does."""
        rows, truth, names = checked(features, labels, class_names)
        standardisation = Standardisation.fit(rows)
        x = standardisation.apply(rows)
        gram = Gram.of(x, np.full(len(x), 1.0 / len(x)))
        return cls(x=x, labels=truth, class_names=names, standardisation=standardisation, gram=gram)

    def columns(self, objective: Objective, weight_decays: Sequence[float]) -> dict[float, Array]:
        """Return the optimum's columns (D + 1, C) by weight decay, the largest first.

        Raises
        ------
        InputError
            For weight decays that are not distinct and positive.
        SolverError
            Where an optimum was not reached.
        """
        check_grid("weight decays", weight_decays)
        weight_set, used = _of_any_weight(objective.weight_set(len(self.x)))
        x = self.x if len(used) == len(self.x) else self.x[used]
        theta, weights = None, weight_set.centre()
        found: dict[float, Array] = {}
        for decay in sorted(weight_decays, reverse=True):
            problem = Problem(
                x=x,
                labels=self.labels[used],
                classes=len(self.class_names),
                weights=weight_set,
                decay=float(decay),
            )
            solution = minimise(
                problem,
                theta=problem.start() if theta is None else theta,
                weights=weights,
                curvature=self.gram,
                tolerance=TOLERANCE,
                most_iterations=MOST_ITERATIONS,
            )
            if not solution.converged:
                raise SolverError(
                    f"{objective.name} at weight decay {decay:g}: relative gap "
                    f"{solution.relative_gap:.2g} after {solution.iterations} steps, {TOLERANCE:g} "
                    "was asked; use a larger weight decay"
                )
            theta, weights = solution.theta, solution.weights
            found[float(decay)] = theta
        return found

    def head(self, columns: Array) -> Head:
        """Return the head that columns (D + 1, C) are."""
        weight = link_for(len(self.class_names)).weight(columns)
        return Head(
            weight=weight[:-1].T.astype(np.float32),
            bias=weight[-1].astype(np.float32),
            mean=self.standardisation.mean,
            scale=self.standardisation.scale,
            class_names=self.class_names,
        )

    def candidates(
        self, objective: Objective, weight_decays: Sequence[float], settings: Mapping[str, float | int | str]
    ) -> list[Candidate]:
        """Return one candidate a weight decay, the largest first; raises as `columns` does."""
        return [
            Candidate(head=self.head(columns), weight_decay=decay, settings=settings)
            for decay, columns in self.columns(objective, weight_decays).items()
        ]


def checked(
    features: ArrayLike, labels: ArrayLike, class_names: Sequence[str]
) -> tuple[NDArray[np.floating], Labels, tuple[str, ...]]:
    """Return features (N, D), labels (N,) and class names (K,), checked before any is parted.

    Raises
    ------
    FeatureError
        For another shape or length, or a row that is zero, NaN or infinite (says which).
    GroupError
        For labels out of range, or class names that are empty or given twice.
    InputError
        For one class only, or a class without images.
    """
    names = class_tuple(class_names)
    truth = label_vector(labels, n_classes=len(names))
    rows = float_matrix(features)
    if len(rows) != len(truth):
        raise FeatureError(f"features of {len(rows)} images for {len(truth)} labels; give one label an image")
    if len(names) < 2:
        raise InputError(f"classes: only {names[0]!r} was given; 2 or more are legal")
    counts = np.bincount(truth, minlength=len(names))
    if not counts.all():
        absent = names[int(np.argmin(counts))]
        raise InputError(f"class {absent!r} has no images; leave it out of the classes or add some")
    for _ in unit_chunks(rows):
        pass
    return rows, truth, names


def check_grid(what: str, values: Sequence[float]) -> None:
    """Refuse a grid that is not of one or more distinct, positive, finite numbers.

    Raises
    ------
    InputError
        Says which value.
    """
    if not values or len(set(values)) != len(values):
        raise InputError(f"{what}: {shown(list(values))}; one or more distinct ones are legal")
    for value in values:
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{what}: {value} is given; a finite number above 0 is legal")


def _of_any_weight(weight_set: WeightSet) -> tuple[WeightSet, Labels]:
    """Return the weights without examples that never weigh anything, and which are left."""
    used = np.flatnonzero(weight_set.within).astype(np.int64)
    if len(used) == len(weight_set.within):
        return weight_set, used
    kept = dataclasses.replace(weight_set, atom=weight_set.atom[used], within=weight_set.within[used])
    return kept, used
