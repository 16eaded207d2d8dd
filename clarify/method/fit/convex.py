"""The convex problem of fitting a head: its value, its slope, and a bound from below.

    F(W, b) = max over q in Q of sum_i q_i loss_i(W x_i + b) + decay/2 |W|^2

**The bound.** Cross-entropy is a maximum over probabilities: ``loss(u) = max_p (p - e_y) @ u +
H(p)`` with H the entropy. So for *any* weights q in Q and *any* probabilities p_i of the examples,
minimising over W and b in closed form gives, as long as ``sum_i q_i (p_i - e_{y_i}) = 0``,

    F >= sum_i q_i H(p_i) + offsets - |sum_i q_i (p_i - e_{y_i}) x_i^T|^2 / (2 decay)

The condition is what the unpenalised bias asks for. Wherever the solver stands it holds only
nearly, so the probabilities are first mixed with just enough of one fixed distribution to make it
hold. The bound is thus true at every point, up to rounding, whatever the solver did.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from clarify.method.fit.example_weights import WeightSet
from clarify.method.fit.links import Link, link_for

__all__ = ["Penalised", "Place", "Point", "Problem", "mixture"]

Array = NDArray[np.float64]
MOST_MIXED = 0.5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Penalised(abc.ABC):
    """One objective on one set of standardised features at one weight decay.

    Parameters
    ----------
    labels : ndarray of int64, (N,)
        In [0, K), each class present.
    classes : int
        K, 2 or more.
    weights : WeightSet
        The set Q.
    decay : float
        Weight decay, positive.
    """

    labels: NDArray[np.int64]
    classes: int
    weights: WeightSet
    decay: float

    @property
    @abc.abstractmethod
    def width(self) -> int:
        """D."""

    @abc.abstractmethod
    def at(self, theta: Array, centre: Array, rho: float) -> Place:
        """Return the place of columns (D + 1, C), with a charge; see `Place`."""

    @property
    def link(self) -> Link:
        """The cross-entropy for K classes."""
        return link_for(self.classes)

    @property
    def column_decay(self) -> float:
        """The decay on the columns: half of it for two classes, see `links`."""
        return self.decay * self.link.decay_share

    def start(self) -> Array:
        """Return a head of zeros as columns (D + 1, C), the bias in the last row."""
        return np.zeros((self.width + 1, self.link.columns))

    def penalty(self, theta: Array) -> float:
        """Return the weight decay's term."""
        return 0.5 * self.column_decay * float(np.vdot(theta[:-1], theta[:-1]))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem(Penalised):
    """A problem whose features and logits are held in float64.

    Parameters
    ----------
    x : ndarray of float64, (N, D)
        Standardised features.
    """

    x: Array

    @property
    def width(self) -> int:
        """D."""
        return int(self.x.shape[1])

    def at(self, theta: Array, centre: Array, rho: float) -> Point:
        """Return the point of columns (D + 1, C)."""
        return Point(problem=self, theta=theta, logits=self.logits(theta), centre=centre, rho=rho)

    def logits(self, theta: Array) -> Array:
        """Return the logits (N, C) of columns (D + 1, C)."""
        result: Array = self.x @ theta[:-1]
        result += theta[-1]
        return result

    def pulled_back(self, slopes: Array) -> Array:
        """Return the slope in the columns (D + 1, C) of slopes in the logits (N, C)."""
        return np.vstack((self.x.T @ slopes, slopes.sum(axis=0)))


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Place(abc.ABC):
    """Where the solver stands.

    Parameters
    ----------
    theta : ndarray, (D + 1, C)
    centre : ndarray, (A,)
        Centre of the charge on the weights.
    rho : float
        Its price.
    """

    problem: Penalised
    theta: Array
    centre: Array
    rho: float
    losses: Array = dataclasses.field(init=False)
    atom_losses: Array = dataclasses.field(init=False)
    smooth: float = dataclasses.field(init=False)
    value: float = dataclasses.field(init=False)
    at_weights: float = dataclasses.field(init=False)
    weights: Array = dataclasses.field(init=False)
    free: NDArray[np.bool_] = dataclasses.field(init=False)
    slope: Array = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.losses = self.find_losses()
        self.atom_losses = self.problem.weights.atom_losses(self.losses)
        self.recentre(self.centre, self.rho)

    @abc.abstractmethod
    def find_losses(self) -> Array:
        """Return the cross-entropies (N,)."""

    @abc.abstractmethod
    def find_slope(self) -> None:
        """Compute the smoothed problem's slope (D + 1, C)."""

    @abc.abstractmethod
    def lower_bound(self) -> float:
        """Return a number that the optimum is certainly not below (see the module's text)."""

    @abc.abstractmethod
    def toward(self, direction: Array) -> Callable[[float], Place]:
        """Return the places so far along a direction."""

    @property
    def rounding(self) -> float:
        """By how much two values may differ that are the same, in nats."""
        return 0.0

    def recentre(self, centre: Array, rho: float) -> None:
        """Move the charge: values of the smoothed problem anew, the slope only on request."""
        self.centre, self.rho = centre, rho
        weights = self.problem.weights
        smooth, self.weights, self.free = weights.nearby_worst(self.atom_losses, centre, rho)
        penalty = self.problem.penalty(self.theta)
        self.smooth = smooth + penalty
        self.value = weights.worst(self.atom_losses) + penalty
        self.at_weights = float(self.weights @ self.atom_losses) + penalty

    def example_weights(self) -> Array:
        """Return q (N,)."""
        return self.problem.weights.example_weights(self.weights)

    def violation(self) -> float:
        """Return by how much other weights in Q are worse than these: 0 at the optimum."""
        return self.value - self.at_weights

    def slack(self) -> float:
        """Return about how far the slope holds the bound off, in nats; needs the slope."""
        inner = np.vdot(self.slope[:-1], self.slope[:-1])
        return float(inner) / (2 * self.problem.column_decay)


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class Point(Place):
    """Where the solver of a `Problem` stands; the large arrays belong to it alone.

    Parameters
    ----------
    logits : ndarray, (N, C)
    """

    problem: Problem
    logits: Array

    def find_losses(self) -> Array:
        """Return the cross-entropies (N,)."""
        return self.problem.link.losses(self.logits, self.problem.labels)

    def toward(self, direction: Array) -> Callable[[float], Point]:
        """Return the points so far along a direction; its logits are computed once."""
        change = self.problem.logits(direction)

        def reached(length: float) -> Point:
            return Point(
                problem=self.problem,
                theta=self.theta + length * direction,
                logits=self.logits + length * change,
                centre=self.centre,
                rho=self.rho,
            )

        return reached

    def residuals(self) -> Array:
        """Return probabilities less truth (N, C)."""
        link = self.problem.link
        return link.minus_truth(link.probabilities(self.logits), self.problem.labels)

    def find_slope(self) -> None:
        """Compute the smoothed problem's slope (D + 1, C)."""
        slopes = self.residuals()
        slopes *= self.example_weights()[:, None]
        self.slope = self.problem.pulled_back(slopes)
        self.slope[:-1] += self.problem.column_decay * self.theta[:-1]

    def lower_bound(self) -> float:
        """Return a number that the optimum is certainly not below (see the module's text)."""
        problem, link = self.problem, self.problem.link
        q = self.example_weights()
        probabilities = link.probabilities(self.logits)
        truth = np.bincount(problem.labels, weights=q, minlength=problem.classes)
        seen = link.class_shares(q @ probabilities)
        part, shares = mixture(seen / seen.sum(), truth / truth.sum())
        if part > MOST_MIXED:
            return -np.inf
        if part > 0:
            probabilities = link.mixed(probabilities, part, shares)
        entropy = float(q @ link.entropies(probabilities))
        slopes = link.minus_truth(probabilities, problem.labels)
        slopes *= q[:, None]
        pull = problem.x.T @ slopes
        offsets = float(self.weights @ problem.weights.offset)
        return entropy + offsets - float(np.vdot(pull, pull)) / (2 * problem.column_decay)


def mixture(seen: Array, truth: Array) -> tuple[float, Array]:
    """Return the least t, and r, with ``(1 - t) * seen + t * r = truth`` and r a distribution."""
    ratio = np.divide(truth, seen, out=np.ones_like(seen), where=seen > 0)
    part = float(max(0.0, 1.0 - ratio.min()))
    if part == 0.0:
        return 0.0, truth
    shares = np.maximum(truth - (1.0 - part) * seen, 0.0)
    if not shares.any():  # what they differ by is rounding
        return 0.0, truth
    return part, shares / shares.sum()
