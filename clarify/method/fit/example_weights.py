"""The one idea behind every objective: the worst weighted mean of losses over a set of weights.

A `WeightSet` Q holds weights on *atoms* (groups, single examples, or everything as one atom)::

    Q = {w : 0 <= w_a <= cap, sum_a w_a = 1},   example i weighs  q_i = w[atom_i] * within_i

    objective(losses) = max over w in Q of  sum_a w_a * (offset_a + sum_{i in a} within_i loss_i)

One atom is a fixed weighting (ERM, reweighting), one atom a group with cap 1 is the worst group,
one atom an example with cap 1/(alpha N) is CVaR.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = ["WeightSet"]

Vector = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightSet:
    """The set Q that an objective takes the worst of.

    Parameters
    ----------
    atom : ndarray of int64, (N,)
        Each example's atom, in [0, A).
    within : ndarray of float64, (N,)
        Each example's weight within its atom, positive, adding up to 1 in every atom.
    offset : ndarray of float64, (A,)
        Added to each atom's loss (0, or the size adjustment of group DRO).
    cap : float
        The most that one atom may weigh, in [1/A, 1].
    """

    atom: NDArray[np.int64]
    within: Vector
    offset: Vector
    cap: float

    @property
    def count(self) -> int:
        """How many atoms there are (A)."""
        return len(self.offset)

    @property
    def single(self) -> bool:
        """Whether each example is an atom of its own."""
        return self.count == len(self.atom)

    def centre(self) -> Vector:
        """Return the weights (A,) that are alike for all atoms."""
        return np.full(self.count, 1.0 / self.count)

    def atom_losses(self, losses: Vector) -> Vector:
        """Return each atom's offset plus weighted mean loss (A,), in nats."""
        means = np.bincount(self.atom, weights=self.within * losses, minlength=self.count)
        return np.asarray(means + self.offset, dtype=np.float64)

    def example_weights(self, weights: Vector) -> Vector:
        """Return q (N,), adding up to 1, for weights (A,) on the atoms."""
        return np.asarray(weights[self.atom] * self.within, dtype=np.float64)

    def worst(self, atom_losses: Vector) -> float:
        """Return the largest weighted mean over Q of the atoms' losses (A,)."""
        mass = 1.0 / self.cap
        full = min(int(mass * (1 + 1e-12)), self.count)
        ordered = np.sort(atom_losses)[::-1]
        rest = max(mass - full, 0.0) * ordered[full] if full < self.count else 0.0
        return float(self.cap * (ordered[:full].sum() + rest))

    def nearby_worst(
        self, atom_losses: Vector, centre: Vector, rho: float
    ) -> tuple[float, Vector, NDArray[np.bool_]]:
        """Return the worst weighted mean, charged for going away from `centre`.

        The smooth, slightly smaller function ``max over w in Q of w @ L - rho |w - centre|^2 /
        (2 cap)``: the step of the method of multipliers (Rockafellar 1976) on the weights.

        Parameters
        ----------
        atom_losses : ndarray, (A,)
        centre : ndarray, (A,)
            Weights in Q.
        rho : float
            Price, positive, in nats; infinite, the weights stay at the centre.

        Returns
        -------
        tuple of float, ndarray (A,), ndarray of bool (A,)
            The value, the weights that reach it (its gradient), which of them are at no bound.
        """
        if self.count == 1:
            return float(atom_losses[0]), np.ones(1), np.zeros(1, dtype=np.bool_)
        if np.isinf(rho):
            return float(centre @ atom_losses), centre, np.zeros(self.count, dtype=np.bool_)
        ends = atom_losses + rho * centre / self.cap
        share = np.clip((ends - _level(ends, rho, 1.0 / self.cap)) / rho, 0.0, 1.0)
        weights = self.cap * share
        weights /= weights.sum()
        away = weights - centre
        value = float(weights @ atom_losses - rho / (2 * self.cap) * (away @ away))
        return value, weights, (share > 0) & (share < 1)


def _level(ends: Vector, rho: float, mass: float) -> float:
    """Return nu such that ``clip((ends - nu) / rho, 0, 1)`` adds up to `mass`; exact, by one sort.

    The sum falls, piecewise linearly, from A at ``min(ends) - rho`` to 0 at ``max(ends)``.
    """
    ascending = np.sort(ends)
    total = np.concatenate(([0.0], np.cumsum(ascending)))
    knots = np.sort(np.concatenate((ascending - rho, ascending)))
    above = np.searchsorted(ascending, knots, side="right")
    full = np.searchsorted(ascending, knots + rho, side="right")
    sums = (len(ends) - full) + (total[full] - total[above] - (full - above) * knots) / rho
    # Last knot whose sum still reaches the mass: the answer lies between it and the next one.
    place = int(np.searchsorted(-sums, -mass, side="right")) - 1
    if place < 0:
        return float(knots[0])
    if place + 1 >= len(knots) or sums[place] == sums[place + 1]:
        return float(knots[place])
    part = (sums[place] - mass) / (sums[place] - sums[place + 1])
    return float(knots[place] + part * (knots[place + 1] - knots[place]))
