"""Cheap models of a problem's curvature, to start each step of the solver from.

The curvature of the smoothed problem is that of the cross-entropies, plus that of the weights q
moving between atoms, which has rank A. The first is modelled by one eigendecomposition of the Gram
matrix that all columns and all weight decays share, each column scaled by its mean curvature. The
second is added by the Woodbury identity where the atoms are few. (A Cholesky factor of each
column's own curvature takes fewer steps, and 2 to 13 times as long; it is gone.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from clarify.method.fit.convex import Point

__all__ = ["Gram", "Solve", "preconditioner"]

Array = NDArray[np.float64]
Solve: TypeAlias = Callable[[Array], Array]
"""From a slope (D + 1, C) to a step of that shape."""

MOST_LOW_RANK = 20_000_000
BLOCK_ROWS = 8192


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gram:
    """Eigendecomposition of the weighted covariance of the features, shared by a whole sweep.

    Parameters
    ----------
    centre : ndarray, (D,)
        Weighted mean.
    values, vectors : ndarray, (D,) and (D, D)
        Eigenvalues, ascending, and eigenvectors.
    """

    centre: Array
    values: Array
    vectors: Array

    @classmethod
    def of(cls, x: Array, q: Array) -> Gram:
        """Return that of features (N, D) at weights q (N,) that add up to 1."""
        centre = q @ x
        moments = np.zeros((x.shape[1], x.shape[1]))
        for start in range(0, len(x), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            block = x[rows] * np.sqrt(q[rows])[:, None]
            moments += block.T @ block
        moments -= np.outer(centre, centre)
        values, vectors = np.linalg.eigh(moments)
        return cls(centre=centre, values=np.maximum(values, 0.0), vectors=vectors)

    def at(self, point: Point) -> Solve:
        """Return the inverse of the model at a point."""
        return preconditioner(point, self)


def preconditioner(point: Point, gram: Gram) -> Solve:
    """Return the inverse of a model of the smoothed problem's curvature at a point."""
    problem = point.problem
    q = point.example_weights()
    p = problem.link.probabilities(point.logits)
    curvature = p * (1.0 - p)
    curvature *= q[:, None]
    moving = problem.weights.count > 1 and bool(point.free.any())
    if moving and problem.weights.single:
        # Every example is an atom: its weight's move adds to its own curvature.
        residuals = problem.link.minus_truth(p, problem.labels)
        pace = problem.weights.cap / point.rho * point.free
        curvature += residuals**2 * pace[:, None]
    solve = _shared(point, curvature.sum(axis=0), gram)
    atoms = int(point.free.sum())
    if moving and not problem.weights.single and atoms * point.theta.size <= MOST_LOW_RANK:
        return _with_moving_weights(solve, _atom_slopes(point), point.theta.shape)
    return solve


def _shared(point: Point, curvature: Array, gram: Gram) -> Solve:
    scale = np.maximum(curvature, 1e-3 / len(curvature))
    damped = gram.values[:, None] * scale + point.problem.column_decay

    def solve(slope: Array) -> Array:
        # In coordinates centred on the weighted mean the bias goes its own way.
        bias = slope[-1] / scale
        centred = slope[:-1] - np.outer(gram.centre, slope[-1])
        step = gram.vectors @ ((gram.vectors.T @ centred) / damped)
        return np.vstack((step, bias - gram.centre @ step))

    return solve


def _atom_slopes(point: Point) -> Array:
    """Return each free atom's slope, about their mean and scaled: (A', (D + 1) * C)."""
    problem = point.problem
    free = np.flatnonzero(point.free)
    slopes = point.residuals()
    slopes *= problem.weights.within[:, None]
    result = np.empty((len(free), point.theta.size))
    for place, atom in enumerate(free):
        rows = np.flatnonzero(problem.weights.atom == atom)
        block = np.vstack((problem.x[rows].T @ slopes[rows], slopes[rows].sum(axis=0)))
        result[place] = block.ravel()
    result -= result.mean(axis=0)
    result *= np.sqrt(problem.weights.cap / point.rho)
    return result


def _with_moving_weights(solve: Solve, atoms: Array, shape: tuple[int, ...]) -> Solve:
    """Add ``atoms.T @ atoms`` to the model that `solve` inverts, by the Woodbury identity."""
    solved = np.stack([solve(row.reshape(shape)).ravel() for row in atoms])
    small = np.linalg.inv(np.eye(len(atoms)) + solved @ atoms.T)
    correction = small @ solved

    def corrected(slope: Array) -> Array:
        step = solve(slope)
        flat = step.ravel() - (solved.T @ (correction @ slope.ravel()))
        return flat.reshape(shape)

    return corrected
