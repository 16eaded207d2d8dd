"""Solve a head's convex problem to a certified gap.

The worst over weights has kinks. The method of multipliers smooths it with a charge on weights
that leave a centre, moves the centre to the weights found, and repeats: it converges with a
moderate charge, so the smoothed problems stay well conditioned (Rockafellar 1976). Each of them is
minimised by L-BFGS started from a model of the curvature. At every point the true objective and
the bound of `convex` are known, so the solver stops when they are close enough, and says how close.

`exponentiated_gradient` is the other way to the same optimum: group DRO as published.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from clarify.method.fit.convex import Penalised, Place
from clarify.method.fit.preconditioner import Solve

__all__ = ["Curvature", "Report", "Solution", "SolverProgress", "exponentiated_gradient", "minimise"]

Array = NDArray[np.float64]
MEMORY = 20
REFRESH = 25
MOST_STEPS = 250
SMALLEST_VALUE = 1e-9
BOUND_EVERY = 50
MOST_STALLED = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SolverProgress:
    """How far a fit is.

    Parameters
    ----------
    iteration : int
        Steps taken so far.
    objective_value : float
        Best so far, in nats, weight decay's term included.
    relative_gap : float
        Certified distance to the optimum over the value; the fit ends at the tolerance.
    weight_decay : float
        Of the problem that is solved.
    example_losses : ndarray, (N,)
        Cross-entropies in nats where the solver stands, not the best so far; not to be changed.
    """

    iteration: int
    objective_value: float
    relative_gap: float
    weight_decay: float
    example_losses: Array


class Curvature(Protocol):
    """Models the curvature of a problem: `preconditioner.Gram`, `large.Sample`."""

    def at(self, point: Any) -> Solve:
        """Return the inverse of the model at a place of that problem."""
        ...


Report: TypeAlias = Callable[[SolverProgress], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """Where the solver ended.

    Parameters
    ----------
    theta : ndarray, (D + 1, C)
        The best columns seen.
    weights : ndarray, (A,)
        The atoms' weights at the end, to start the next problem from.
    value, lower_bound : float
        The best objective and the best bound seen, in nats.
    converged : bool
        Whether the gap is within the tolerance.
    """

    theta: Array
    weights: Array
    value: float
    lower_bound: float
    iterations: int
    converged: bool

    @property
    def relative_gap(self) -> float:
        """Certified distance to the optimum over the value."""
        return (self.value - self.lower_bound) / max(self.value, SMALLEST_VALUE)


class _Certificate:
    """The best value and the best bound so far."""

    def __init__(self, tolerance: float, most: int, report: Report | None) -> None:
        self.tolerance, self.most, self.report = tolerance, most, report
        self.value, self.bound, self.iterations = np.inf, -np.inf, 0
        self.theta: Array = np.empty(0)
        self.inner_gap = np.inf

    @property
    def allowed(self) -> float:
        """The gap in nats that the tolerance allows."""
        return self.tolerance * max(self.value, SMALLEST_VALUE)

    @property
    def done(self) -> bool:
        """Whether the gap is certified, or no more steps are allowed."""
        return self.certified or self.iterations >= self.most

    @property
    def certified(self) -> bool:
        """Whether the gap is within the tolerance; not before anything was seen."""
        return bool(np.isfinite(self.value) and self.value - self.bound <= self.allowed)

    def see(self, point: Place) -> None:
        """Take note of a point whose slope is known; the bound only where it may help."""
        if point.value < self.value:
            self.value, self.theta = point.value, point.theta
        self.inner_gap = point.slack()
        hopeful = self.inner_gap + point.violation() <= 2 * self.allowed
        if hopeful or self.iterations % BOUND_EVERY == 0:
            bound = point.lower_bound()
            self.bound = max(self.bound, bound)
            # The slope alone does not tell what the biases still cost the bound.
            self.inner_gap = max(self.inner_gap, point.at_weights - bound)
        if self.report is not None:
            gap = (self.value - self.bound) / max(self.value, SMALLEST_VALUE)
            self.report(
                SolverProgress(
                    iteration=self.iterations,
                    objective_value=self.value,
                    relative_gap=float(gap),
                    weight_decay=point.problem.decay,
                    example_losses=point.losses,
                )
            )

    def solution(self, weights: Array) -> Solution:
        """Return what was found."""
        return Solution(
            theta=self.theta,
            weights=weights,
            value=self.value,
            lower_bound=float(self.bound),
            iterations=self.iterations,
            converged=self.certified,
        )


def minimise(
    problem: Penalised,
    *,
    theta: Array,
    weights: Array,
    curvature: Curvature,
    tolerance: float,
    most_iterations: int,
    report: Report | None = None,
) -> Solution:
    """Minimise the worst weighted mean plus weight decay, certified.

    Parameters
    ----------
    theta : ndarray, (D + 1, C)
        Start.
    weights : ndarray, (A,)
        Start of the centre of the charge, in Q.
    curvature : Curvature
        What each step starts from.
    tolerance : float
        Relative gap to reach.
    report : callable, optional
        Called after each step.

    Returns
    -------
    Solution
        ``converged`` is False where the steps ran out.
    """
    certificate = _Certificate(tolerance, most_iterations, report)
    point = problem.at(theta, weights, np.inf)
    # A charge under which weights move, but not from one bound to another at once.
    rho = 0.1 * max(point.value, SMALLEST_VALUE) * problem.weights.count * problem.weights.cap
    point.recentre(weights, rho)
    point.find_slope()
    certificate.see(point)
    before, stalled = np.inf, 0
    while not certificate.done and stalled < MOST_STALLED:
        steps = certificate.iterations
        point = _descend(point, curvature, certificate)
        stalled = stalled + 1 if certificate.iterations == steps else 0
        violation = point.violation()
        if violation > max(0.25 * before, 0.1 * certificate.allowed):
            rho /= 3.0
        before = violation
        point.recentre(point.weights, rho)
        point.find_slope()
        certificate.see(point)
    return certificate.solution(point.weights)


def _descend(point: Place, curvature: Curvature, certificate: _Certificate) -> Place:
    """Minimise one smoothed problem by L-BFGS, about as far as the next one can use."""
    solve = curvature.at(point)
    pairs: deque[tuple[Array, Array]] = deque(maxlen=MEMORY)
    for _ in range(MOST_STEPS):
        if certificate.done:
            return point
        direction = _direction(point, pairs, solve)
        reached = _line_search(point, direction)
        if reached is None:
            if not pairs:
                return point
            pairs.clear()
            solve = curvature.at(point)
            continue
        certificate.iterations += 1
        reached.find_slope()
        pairs.append((reached.theta - point.theta, reached.slope - point.slope))
        point = reached
        certificate.see(point)
        if certificate.inner_gap <= 0.3 * max(point.violation(), certificate.allowed):
            return point
    return point


def _direction(point: Place, pairs: deque[tuple[Array, Array]], solve: Solve) -> Array:
    """Return the L-BFGS step (two loops; Nocedal 1980), started from the model's inverse."""
    rest = point.slope.copy()
    kept: list[tuple[float, float]] = []
    for moved, turned in reversed(pairs):
        scale = 1.0 / max(float(np.vdot(moved, turned)), 1e-300)
        part = scale * float(np.vdot(moved, rest))
        rest -= part * turned
        kept.append((scale, part))
    step = solve(rest)
    for (moved, turned), (scale, part) in zip(pairs, reversed(kept), strict=True):
        step += (part - scale * float(np.vdot(turned, step))) * moved
    # A shift common to all classes changes no probability and only lengthens the weights.
    return -point.problem.link.columns_of(point.problem.link.weight(step))


def _line_search(point: Place, direction: Array) -> Place | None:
    """Return a point along a direction that is low enough (Armijo), or None where there is none."""
    along = float(np.vdot(point.slope, direction))
    if not along < 0:
        return None
    toward, length = point.toward(direction), 1.0
    for _ in range(30):
        reached = toward(length)
        fallen = reached.smooth - point.smooth
        if fallen <= 1e-4 * length * along + point.rounding:
            return reached
        # The lowest point of the parabola through both values and the slope.
        bottom = -along * length / (2 * (fallen / length - along))
        length = float(np.clip(bottom, 0.1 * length, 0.5 * length))
    return None


def exponentiated_gradient(
    problem: Penalised,
    *,
    theta: Array,
    step_size: float,
    steps: int,
    curvature: Curvature,
    tolerance: float,
    report: Report | None = None,
) -> Solution:
    """Group DRO as published: weights by exponentiated gradient, a step of the head in between.

    Sagawa et al. 2020, algorithm 1, with the whole split as the batch and a step along the
    curvature model in place of SGD's.

    Parameters
    ----------
    problem : Penalised
        Atoms are groups; its offsets are the adjustments C/sqrt(n_g).
    theta, curvature, report
        As in `minimise`.
    step_size : float
        Of the exponentiated gradient.
    steps : int
        Stop after so many.
    tolerance : float
        Stop earlier where the relative gap is certified to be as small.

    Returns
    -------
    Solution
        Best value and best bound of all steps, for the maximum over groups.
    """
    certificate = _Certificate(tolerance, steps, report)
    weights = problem.weights.centre()
    point = problem.at(theta, weights, np.inf)
    solve: Solve | None = None
    while not certificate.done:
        _hold(point, weights)
        certificate.see(point)
        if solve is None or certificate.iterations % REFRESH == 0:
            solve = curvature.at(point)
        reached = _line_search(point, _direction(point, deque(), solve))
        point = point if reached is None else reached
        certificate.iterations += 1
        scaled = np.log(weights) + step_size * point.atom_losses
        weights = np.exp(scaled - scaled.max())
        weights /= weights.sum()
        weights = np.maximum(weights, 1e-30)
    _hold(point, weights)
    certificate.see(point)
    return certificate.solution(weights)


def _hold(point: Place, weights: Array) -> None:
    """Fix the weights: an infinite charge on leaving them."""
    point.recentre(weights, np.inf)
    point.find_slope()
