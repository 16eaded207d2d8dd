"""Heads of many images and classes: rows are read in blocks, and no logits are kept.

The solver is that of small problems, on another kind of place. A pass over the rows multiplies
blocks in float32, adds up in float64, and gives the losses and the slope; for weights that are
known before it (ERM, reweighting) one pass is all a step takes. Nothing else is needed for the bound of
`convex`: with g the slope of the weighted losses, ``sum_i q_i H(p_i)`` is their mean less ``g @ theta``,
and what the bias still lacks is mixed in from the sums of the features of each class. As mixing never
lowers entropy below the mixture of entropies, the bound stays one.

What a step starts from matters more than anything else. Each class has most of its curvature where images
are nearly taken for it, far from the mean of all. Modelled about its own centre, and by the covariance about
these centres, a third of the passes is enough (16,000 x 192, 40 classes, 8 weight decays: 70 for 190). Both
come from a sample of the rows, drawn by seed. Steps on samples of the rows, corrected by the slope of all (as
in SVRG and DANE), needed no fewer passes; classes coupled by a Kronecker product saved few.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from clarify.method.arrays import Matrix, generator, measured_chunks
from clarify.method.fit.convex import MOST_MIXED, Penalised, Place, mixture
from clarify.method.fit.erasure import Erasure
from clarify.method.fit.example_weights import WeightSet
from clarify.method.fit.head import Standardisation
from clarify.method.fit.links import Softmax
from clarify.method.fit.preconditioner import Solve

__all__ = ["Rows", "Sample", "Streamed", "is_large"]

Array = NDArray[np.float64]
Single = NDArray[np.float32]

LARGE_PRODUCTS = 1_000_000_000
"""N * D * K from which a problem is large: there one step of the exact solver takes half a second."""

LARGE_NUMBERS = 250_000_000
"""N * D from which a problem is large: 2 GB in float64."""

KEPT_NUMBERS = 150_000_000
"""N * D up to which the standardised rows are kept, in float32; else each pass makes them anew."""

ROUNDING = 1e-6
"""What float32 may be off a mean loss, as a share of it: taken off every bound; no smaller gap is claimed."""

BLOCK_NUMBERS = 2_000_000
SAMPLED = 16_384
SAMPLED_OF_CLASS = 100
"""Rows that the curvature is modelled from: so many at least, and so many times the classes."""


def is_large(features: Matrix, classes: int) -> bool:
    """Whether a head on features (N, D), of so many classes, is fitted in blocks."""
    return features.size * classes >= LARGE_PRODUCTS or features.size >= LARGE_NUMBERS


class Rows:
    """Standardised features (N, D) in float32, a block at a time, and passes over them.

    Parameters
    ----------
    features : ndarray of float, (N, D)
        Raw ones; a memory map is read in every pass.
    standardisation : Standardisation
    erasure : Erasure, optional
        What is taken out of them.
    labels : ndarray of int64, (N,)
    classes : int
    """

    def __init__(
        self,
        features: Matrix,
        standardisation: Standardisation,
        labels: NDArray[np.int64],
        classes: int,
        *,
        erasure: Erasure | None = None,
    ) -> None:
        self.labels, self.classes = labels, classes
        self.shape: tuple[int, int] = features.shape
        self._raw, self._standardisation, self._erasure = features, standardisation, erasure
        self._lengths = np.concatenate([lengths for _, _, lengths in measured_chunks(features)])
        self._kept: Single | None = None
        self._last: tuple[Array, Array, Array, Array] | None = None
        self._sums: tuple[Array, Array] | None = None
        if features.size <= KEPT_NUMBERS:
            self._kept = np.empty(self.shape, dtype=np.float32)
            for rows, block in self.blocks(made=True):
                self._kept[rows] = block

    def take(self, rows: slice | NDArray[np.int64], *, made: bool = False) -> Single:
        """Return some rows, standardised; not to be changed."""
        if self._kept is not None and not made:
            return self._kept[rows]
        block = np.array(self._raw[rows], dtype=np.float32)
        block /= self._lengths[rows, None].astype(np.float32)
        block -= self._standardisation.mean
        block /= self._standardisation.scale
        if self._erasure is not None:
            seen = block @ self._erasure.duals.astype(np.float32)
            block -= seen @ self._erasure.directions.T.astype(np.float32)
        return block

    def blocks(self, *, made: bool = False) -> Iterator[tuple[slice, Single]]:
        """Yield which rows, and these."""
        step = max(1, BLOCK_NUMBERS // max(self.shape[1], self.classes))
        for start in range(0, self.shape[0], step):
            rows = slice(start, start + step)
            yield rows, self.take(rows, made=made)

    def losses(self, theta: Array) -> Array:
        """Return the cross-entropies (N,) of columns (D + 1, K): half the products of a pass."""
        losses = np.empty(self.shape[0])
        for rows, block in self.blocks():
            losses[rows] = _exponentials(block, theta, self.labels[rows])[1]
        return losses

    def passed(self, theta: Array, q: Array) -> tuple[Array, Array]:
        """Return the cross-entropies (N,), and the slope (D + 1, K) of their mean under weights q (N,)."""
        if self._last is not None and _same(self._last[0], theta) and _same(self._last[1], q):
            return self._last[2:]
        losses, slope = np.empty(self.shape[0]), np.zeros(theta.shape)
        for rows, block in self.blocks():
            truth = self.labels[rows]
            slopes, losses[rows], totals = _exponentials(block, theta, truth)
            # Weights of about 1 in place of 1/N: float32 has no numbers between tiny ones.
            weights = (q[rows] * self.shape[0]).astype(np.float32)
            slopes *= (weights / totals)[:, None]
            slopes[np.arange(len(truth)), truth] -= weights
            slope[:-1] += block.T @ slopes
            slope[-1] += slopes.sum(axis=0)
        slope /= self.shape[0]
        self._last = theta, q, losses, slope
        return losses, slope

    def class_sums(self, q: Array) -> Array:
        """Return the features of each class added up under weights q (N,): (D, K)."""
        from scipy.sparse import csr_matrix

        if self._sums is None or not _same(self._sums[0], q):
            sums = np.zeros((self.classes, self.shape[1]))
            for rows, block in self.blocks():
                places = (self.labels[rows], np.arange(len(block)))
                sums += csr_matrix((q[rows], places), shape=(self.classes, len(block))) @ block
            self._sums = q, sums.T
        return self._sums[1]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Streamed(Penalised):
    """A problem on `Rows`, with a logit for each class (of two too)."""

    rows: Rows

    @classmethod
    def of(cls, rows: Rows, weights: WeightSet, decay: float) -> Streamed:
        """Return that of rows at a weight decay."""
        return cls(rows=rows, labels=rows.labels, classes=rows.classes, weights=weights, decay=decay)

    @property
    def width(self) -> int:
        """D."""
        return self.rows.shape[1]

    @property
    def link(self) -> Softmax:
        """The cross-entropy."""
        return Softmax(self.classes)

    def at(self, theta: Array, centre: Array, rho: float) -> _Spot:
        """Return the place of columns (D + 1, K)."""
        return _Spot(problem=self, theta=theta, centre=centre, rho=rho)


@dataclasses.dataclass(slots=True, kw_only=True, eq=False)
class _Spot(Place):
    """Where the solver of a `Streamed` stands."""

    problem: Streamed

    def find_losses(self) -> Array:
        """Return the cross-entropies (N,), with the slope in one pass where the weights are known."""
        weights = self.problem.weights
        if weights.count == 1:
            return self.problem.rows.passed(self.theta, weights.example_weights(np.ones(1)))[0]
        return self.problem.rows.losses(self.theta)

    def find_slope(self) -> None:
        """Compute the smoothed problem's slope (D + 1, K)."""
        self.slope = self.problem.rows.passed(self.theta, self.example_weights())[1].copy()
        self.slope[:-1] += self.problem.decay * self.theta[:-1]

    @property
    def rounding(self) -> float:
        """What float32 leaves open of a mean loss."""
        return ROUNDING * self.value

    def toward(self, direction: Array) -> Callable[[float], _Spot]:
        """Return the places so far along a direction, a pass each."""
        return lambda length: self.problem.at(self.theta + length * direction, self.centre, self.rho)

    def lower_bound(self) -> float:
        """Return a number that the optimum is certainly not below (see the module's text)."""
        problem, q = self.problem, self.example_weights()
        pull = self.slope.copy()
        pull[:-1] -= problem.decay * self.theta[:-1]
        offsets = float(self.weights @ problem.weights.offset)
        losses = self.at_weights - problem.penalty(self.theta) - offsets
        entropy = losses - float(np.vdot(pull, self.theta))
        truth = np.bincount(problem.labels, weights=q, minlength=problem.classes)
        seen = np.maximum(truth + pull[-1], 0.0)
        part, shares = mixture(seen / seen.sum(), truth / truth.sum())
        if part > MOST_MIXED:
            return -np.inf
        pull = pull[:-1]
        if part > 0:
            sums = problem.rows.class_sums(q)
            pull = (1.0 - part) * pull + part * (np.outer(sums.sum(axis=1), shares) - sums)
            mixed = -float(shares @ np.log(np.maximum(shares, 1e-300)))
            entropy = (1.0 - part) * entropy + part * mixed
        return entropy + offsets - float(np.vdot(pull, pull)) / (2 * problem.decay) - self.rounding


class Sample:
    """Some rows, drawn by seed, that the curvature is modelled from.

    Parameters
    ----------
    rows : Rows
    weights : WeightSet
        Half of the rows are drawn evenly, half by their weight at its centre: rare groups are among them.
    """

    def __init__(self, rows: Rows, weights: WeightSet) -> None:
        count, many = rows.shape[0], max(SAMPLED, SAMPLED_OF_CLASS * rows.classes)
        chance = 0.5 / count + 0.5 * weights.example_weights(weights.centre())
        if count <= many:
            self._drawn, self._share = np.arange(count), np.ones(count)
            self._x = rows.take(slice(None))
        else:
            rng = generator(0, "curvature")
            self._drawn = np.sort(rng.choice(count, many, p=chance / chance.sum()))
            self._share = 1.0 / (many * chance[self._drawn])
            self._x = rows.take(self._drawn)

    def at(self, point: _Spot) -> Solve:
        """Return the inverse of a model of the smoothed problem's curvature at a place."""
        problem, weights = point.problem, point.problem.weights
        q = point.example_weights()[self._drawn] * self._share
        pace = None
        if weights.single and bool(point.free.any()):
            # Every example is an atom: its weight's move adds to its own curvature.
            pace = weights.cap / point.rho * point.free[self._drawn] * self._share
        width, classes = problem.width, problem.classes
        scale, sums, moments = np.zeros(classes), np.zeros((width, classes)), np.zeros((width, width))
        step = max(1, BLOCK_NUMBERS // max(width, classes))
        for start in range(0, len(self._x), step):
            rows = slice(start, start + step)
            block, truth = self._x[rows], problem.labels[self._drawn[rows]]
            p, _, totals = _exponentials(block, point.theta, truth)
            p /= totals[:, None]
            curvature = (p - p * p) * q[rows, None].astype(np.float32)
            if pace is not None:
                p[np.arange(len(p)), truth] -= 1.0
                curvature += p * p * pace[rows, None].astype(np.float32)
            scale += curvature.sum(axis=0, dtype=np.float64)
            sums += block.T @ curvature
            moments += (block * curvature.sum(axis=1)[:, None]).T @ block
        return _about_own_centres(scale, sums, moments, problem.decay)


def _about_own_centres(scale: Array, sums: Array, moments: Array, decay: float) -> Solve:
    """Return the inverse: each class its own mass and centre, all one covariance about the centres."""
    centres = sums / np.maximum(scale, 1e-30)
    values, vectors = np.linalg.eigh((moments - (centres * scale) @ centres.T) / scale.sum())
    scale = np.maximum(scale, 1e-3 * scale.max() / len(scale))
    damped = np.maximum(values, 0.0)[:, None] * scale + decay
    turned = vectors.T @ centres

    def solve(slope: Array) -> Array:
        # In coordinates centred on a class's own mean its bias goes its own way.
        step = (vectors.T @ slope[:-1] - turned * slope[-1]) / damped
        bias = slope[-1] / scale - np.einsum("dk,dk->k", turned, step)
        return np.vstack((vectors @ step, bias))

    return solve


def _exponentials(block: Single, theta: Array, labels: NDArray[np.int64]) -> tuple[Single, Array, Single]:
    """Return exp(logits - the largest) (B, K), the cross-entropies (B,), the sums over classes (B,)."""
    logits: Single = block @ theta[:-1].astype(np.float32)
    logits += theta[-1].astype(np.float32)
    logits -= logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(labels)), labels]
    np.exp(logits, out=logits)
    totals = logits.sum(axis=1)
    return logits, np.log(totals.astype(np.float64)) - own, totals


def _same(one: Array, other: Array) -> bool:
    return one is other or bool(np.array_equal(one, other))
