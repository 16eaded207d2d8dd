"""Cheap models of a problem's curvature, to start each step of the solver from.

The curvature of the smoothed problem is that of the cross-entropies, plus that of the weights q
moving between atoms, which has rank A. The first is modelled by one eigendecomposition of the Gram
matrix that all columns and all weight decays share, each column scaled by its mean curvature and
about its own centre: that of the images whose class is in doubt, far from the mean of all. The
second is added by the Woodbury identity where the atoms are few. (A Cholesky factor of each
column's own curvature takes fewer steps, and 2 to 13 times as long. It pays only for one column at
small weight decays, where few images have nearly all of the curvature.)
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
MOST_OF_IT, FEW_ROWS = 0.98, 0.4
"""Where so much of one column's curvature comes from so small a share of the rows, it is taken as it is."""


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
    few = _few_rows(curvature)
    solve = _shared(point, curvature, gram) if few is None else _of_few(point, curvature, few)
    atoms = int(point.free.sum())
    if moving and not problem.weights.single and atoms * point.theta.size <= MOST_LOW_RANK:
        return _with_moving_weights(solve, _atom_slopes(point), point.theta.shape)
    return solve


def _shared(point: Point, curvature: Array, gram: Gram) -> Solve:
    """Return the inverse: each column its own mass and centre, all the covariance of all images."""
    mass = curvature.sum(axis=0)
    centres = (point.problem.x.T @ curvature) / np.maximum(mass, 1e-300)
    scale = np.maximum(mass, 1e-3 / len(mass))
    damped = gram.values[:, None] * scale + point.problem.column_decay

    def solve(slope: Array) -> Array:
        # In coordinates centred on a column's own mean its bias goes its own way.
        centred = slope[:-1] - centres * slope[-1]
        step = gram.vectors @ ((gram.vectors.T @ centred) / damped)
        return np.vstack((step, slope[-1] / scale - np.einsum("dc,dc->c", centres, step)))

    return solve


def _few_rows(curvature: Array) -> NDArray[np.int64] | None:
    """Return the rows that nearly all curvature of one column comes from, where these are few."""
    if curvature.shape[1] > 1 or not curvature.any():
        return None
    order = np.argsort(-curvature[:, 0], kind="stable")
    part = np.cumsum(curvature[order, 0])
    most = int(np.searchsorted(part, MOST_OF_IT * part[-1])) + 1
    return order[:most] if most <= FEW_ROWS * len(order) else None


def _of_few(point: Point, curvature: Array, rows: NDArray[np.int64]) -> Solve:
    """Return the inverse of the curvature itself, of some rows: Newton's step."""
    from scipy.linalg import cho_factor, cho_solve

    q = curvature[rows, 0] * (curvature.sum() / curvature[rows].sum())
    block = point.problem.x[rows].astype(np.float32)
    mass, centre = q.sum(), (q @ block) / q.sum()
    block -= centre.astype(np.float32)
    block *= np.sqrt(q).astype(np.float32)[:, None]
    matrix = (block.T @ block).astype(np.float64)
    matrix[np.diag_indices(len(matrix))] += point.problem.column_decay
    factor = cho_factor(matrix, overwrite_a=True)

    def solve(slope: Array) -> Array:
        step = cho_solve(factor, slope[:-1] - np.outer(centre, slope[-1]))
        return np.vstack((step, slope[-1] / mass - centre @ step))

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
