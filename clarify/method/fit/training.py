"""Fit the last layer: one convex problem a weight decay, each solved to a certified gap.

With a linear head every objective is convex, so the answer is a number that can be checked. A
`Fit` says how far it can be from the optimum at most (see `convex` for the bound), and a fit that
does not reach the tolerance is an error, not a result. The authors' early stopping acts as a
regulariser; here that is the weight decay, chosen openly: see `select`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import FeatureError, InputError, SolverError, shown
from clarify.method.arrays import Matrix, class_tuple, float_matrix, label_vector
from clarify.method.fit.convex import Penalised, Problem
from clarify.method.fit.erasure import Erasure
from clarify.method.fit.example_weights import WeightSet
from clarify.method.fit.head import Head, Standardisation
from clarify.method.fit.large import Rows, Sample, Streamed, is_large
from clarify.method.fit.objectives import GroupDro, Objective
from clarify.method.fit.preconditioner import Gram
from clarify.method.fit.solver import Curvature, Report, Solution, exponentiated_gradient, minimise

__all__ = ["TOLERANCE", "WEIGHT_DECAYS", "Fit", "fit_head", "sweep"]

Array = NDArray[np.float64]

WEIGHT_DECAYS: tuple[float, ...] = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
"""The default grid, largest first: about three a decade."""

TOLERANCE = 2e-5
"""Relative gap: at 1e-4 the worst group's loss alone may still be off by a thousandth."""

LARGE_TOLERANCE = 1e-3
"""Relative gap of a large problem (see `large`): what is certified costs passes, and what float32 rounds is
far smaller. The loss itself is some hundred times nearer to the optimum."""

MOST_ITERATIONS = 3000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A fitted head and how far from the optimum it can be.

    Parameters
    ----------
    objective : str
        The objective's name.
    objective_value : float
        In nats, ``weight_decay / 2 * ||weight||^2`` included.
    lower_bound : float
        In nats; no head has a lower objective value.
    relative_gap : float
        ``(objective_value - lower_bound) / objective_value``; lower is better.
    iterations : int
        Steps of the solver.
    converged : bool
        Whether the gap is within the tolerance; only `GroupDro`, which stops by its own rule, may
        end without.
    """

    head: Head
    objective: str
    weight_decay: float
    objective_value: float
    lower_bound: float
    relative_gap: float
    iterations: int
    converged: bool


def fit_head(
    features: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    objective: Objective,
    weight_decay: float,
    *,
    tolerance: float | None = None,
    erasure: Erasure | None = None,
    start: Head | None = None,
    progress: Report | None = None,
) -> Fit:
    """Fit a linear head to features, to a certified gap. Deterministic: nothing is drawn.

    Parameters
    ----------
    features : array_like of float, (N, D)
        Raw features of the training images; L2-normalised and standardised here.
    labels : array_like of int, (N,)
        In [0, K), every class present.
    class_names : sequence of str, (K,)
        The labels' names in order.
    objective : Objective
        Groups in it are those of these N images.
    weight_decay : float
        Positive, on the weights and not on the bias.
    tolerance : float
        Relative gap to certify, in [1e-8, 1); by default `TOLERANCE`, of a large problem
        `LARGE_TOLERANCE`.
    erasure : Erasure, optional
        Of these features, standardised: what the head is not to see.
    start : Head, optional
        Where to start from; changes the time taken, not the answer beyond the tolerance.
    progress : callable, optional
        Called with a `SolverProgress` after each step.

    Returns
    -------
    Fit
        Of the lowest ``objective + weight_decay / 2 * ||weight||^2``.

    Raises
    ------
    FeatureError
        For features of another shape, or a row that is zero, NaN or infinite (says which).
    GroupError, InputError
        For labels that are out of range or of one class only, a class without images, groups of
        other images, or a setting that is not legal.
    SolverError
        Where the gap was not reached (never for `GroupDro`).
    """
    decays = (weight_decay,)
    return next(_fits(features, labels, class_names, objective, decays, tolerance, erasure, start, progress))


def sweep(
    features: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    objective: Objective,
    weight_decays: Sequence[float] = WEIGHT_DECAYS,
    *,
    tolerance: float | None = None,
    erasure: Erasure | None = None,
    start: Head | None = None,
    progress: Report | None = None,
) -> list[Fit]:
    """Fit one head a weight decay, each started from the one before.

    Parameters are those of `fit_head`; `weight_decays` are distinct and in any order, and the largest is
    started from `start`.

    Returns
    -------
    list of Fit
        In falling order of the weight decay.

    Raises FeatureError, GroupError, InputError, SolverError as `fit_head` does.
    """
    decays = sorted(weight_decays, reverse=True)
    if not decays or len(set(decays)) != len(decays):
        raise InputError(f"weight decays {shown(list(weight_decays))}; one or more distinct ones are legal")
    return list(_fits(features, labels, class_names, objective, decays, tolerance, erasure, start, progress))


def _fits(
    features: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    objective: Objective,
    decays: Sequence[float],
    tolerance: float | None,
    erasure: Erasure | None,
    start: Head | None,
    progress: Report | None,
) -> Iterator[Fit]:
    names = class_tuple(class_names)
    truth = label_vector(labels, n_classes=len(names))
    _check(names, truth, decays, tolerance)
    standardisation = Standardisation.fit(features)
    rows = float_matrix(features)
    if len(rows) != len(truth):
        raise FeatureError(f"features of {len(rows)} images for {len(truth)} labels; give one label an image")
    weight_set = objective.weight_set(len(truth))
    problem_at, curvature = _problems(rows, truth, names, standardisation, erasure, weight_set)
    if tolerance is None:
        tolerance = LARGE_TOLERANCE if is_large(rows, len(names)) else TOLERANCE
    weights, theta = weight_set.centre(), None
    for decay in decays:
        problem = problem_at(float(decay))
        if theta is None:
            theta = problem.start() if start is None else _columns(start, problem, names, standardisation)
        found = _solve(problem, objective, theta, weights, curvature, tolerance, progress)
        theta, weights = found.theta, found.weights
        yield _fit(found, problem, objective, standardisation, erasure, names)


def _problems(
    features: Matrix,
    truth: NDArray[np.int64],
    names: tuple[str, ...],
    standardisation: Standardisation,
    erasure: Erasure | None,
    weights: WeightSet,
) -> tuple[Callable[[float], Penalised], Curvature]:
    """Return what makes the problem at a weight decay, and the model of its curvature: by size."""
    if is_large(features, len(names)):
        rows = Rows(features, standardisation, truth, len(names), erasure=erasure)
        return lambda decay: Streamed.of(rows, weights, decay), Sample(rows, weights)
    x = standardisation.apply(features)
    if erasure is not None:
        x = erasure.apply(x)
    gram = Gram.of(x, weights.example_weights(weights.centre()))
    return lambda decay: Problem(x=x, labels=truth, classes=len(names), weights=weights, decay=decay), gram


def _solve(
    problem: Penalised,
    objective: Objective,
    theta: Array,
    weights: Array,
    curvature: Curvature,
    tolerance: float,
    progress: Report | None,
) -> Solution:
    if isinstance(objective, GroupDro):
        return exponentiated_gradient(
            problem,
            theta=theta,
            step_size=objective.step_size,
            steps=objective.steps,
            curvature=curvature,
            tolerance=tolerance,
            report=progress,
        )
    found = minimise(
        problem,
        theta=theta,
        weights=weights,
        curvature=curvature,
        tolerance=tolerance,
        most_iterations=MOST_ITERATIONS,
        report=progress,
    )
    if not found.converged:
        raise SolverError(
            f"{objective.name} at weight decay {problem.decay:g}: relative gap "
            f"{found.relative_gap:.2g} after {found.iterations} steps, {tolerance:g} was asked; "
            "use a larger weight decay or tolerance"
        )
    return found


def _fit(
    found: Solution,
    problem: Penalised,
    objective: Objective,
    standardisation: Standardisation,
    erasure: Erasure | None,
    names: tuple[str, ...],
) -> Fit:
    link = problem.link
    weight = link.weight(found.theta[:-1]).T
    head = Head(
        weight=np.asarray(weight if erasure is None else erasure.folded(weight), dtype=np.float32),
        bias=np.asarray(link.weight(found.theta[-1]), dtype=np.float32),
        mean=standardisation.mean,
        scale=standardisation.scale,
        class_names=names,
    )
    return Fit(
        head=head,
        objective=objective.name,
        weight_decay=problem.decay,
        objective_value=found.value,
        lower_bound=found.lower_bound,
        relative_gap=found.relative_gap,
        iterations=found.iterations,
        converged=found.converged,
    )


def _columns(start: Head, problem: Penalised, names: tuple[str, ...], to: Standardisation) -> Array:
    """Return a head as columns on features standardised in another way."""
    if start.class_names != names or start.width != len(to.mean):
        raise InputError(
            f"start: a head of {len(start.class_names)} classes and width {start.width}; "
            f"the same {len(names)} classes and width {len(to.mean)} are legal"
        )
    weight = start.weight.astype(np.float64) / start.scale
    bias = start.bias + weight @ (to.mean.astype(np.float64) - start.mean)
    link = problem.link
    columns = link.columns_of(np.vstack(((weight * to.scale).T, bias)))
    return link.columns_of(link.weight(columns))


def _check(
    names: tuple[str, ...], truth: NDArray[np.int64], decays: Sequence[float], tolerance: float | None
) -> None:
    if len(names) < 2:
        raise InputError(f"classes: only {names[0]!r} was given; 2 or more are legal")
    counts = np.bincount(truth, minlength=len(names))
    if not counts.all():
        absent = names[int(np.argmin(counts))]
        raise InputError(f"class {absent!r} has no training images; leave it out of the classes or add some")
    for decay in decays:
        if not (np.isfinite(decay) and decay > 0):
            raise InputError(f"weight decay is {decay}; a finite number above 0 is legal")
    if tolerance is not None and not 1e-8 <= tolerance < 1:
        raise InputError(f"tolerance is {tolerance}; from 1e-8 to under 1 is legal")
