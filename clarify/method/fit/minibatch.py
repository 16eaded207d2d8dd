"""The objectives of a retraining, for mini-batches: how much each example of a batch counts.

A network is trained by steps on batches, and no optimum is certified. Each objective looks at the
losses of a batch and says how its examples are weighted in the step; what it remembers between
steps is in its ``state``.

| name | weights of the examples | source |
|---|---|---|
| ``erm`` | all alike | |
| ``reweight`` | the groups of the batch alike | DFR, arXiv 2204.02937 |
| ``worst_group`` | the group whose running mean loss is highest | arXiv 2402.03715, its code |
| ``group_dro`` | groups by exponentiated gradient | Sagawa et al. 2020, algorithm 1 |
| ``cvar`` | the worst share alpha of the batch | Levy et al. 2020, arXiv 2010.05893 |
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from clarify.errors import InputError, nearest

__all__ = ["NAMES", "BatchObjective", "batch_objective"]

Vector = NDArray[np.float64]
Numbers = NDArray[np.int64]


class BatchObjective(Protocol):
    """Weighs the examples of a batch."""

    name: ClassVar[str]
    state: Vector

    def weights(self, losses: Vector, groups: Numbers) -> Vector:
        """Return the weights (B,) of a batch's examples, adding up to 1; takes note of the losses.

        Parameters
        ----------
        losses : (B,) float64
            In nats.
        groups : (B,) int64
            In [0, G).
        """
        ...


@dataclasses.dataclass(slots=True, kw_only=True)
class BatchErm:
    """All examples alike."""

    name: ClassVar[str] = "erm"
    state: Vector = dataclasses.field(default_factory=lambda: np.zeros(0))

    def weights(self, losses: Vector, groups: Numbers) -> Vector:
        """Return 1/B."""
        return np.full(len(losses), 1.0 / len(losses))


@dataclasses.dataclass(slots=True, kw_only=True)
class BatchReweight:
    """All groups of the batch alike."""

    name: ClassVar[str] = "reweight"
    state: Vector = dataclasses.field(default_factory=lambda: np.zeros(0))

    def weights(self, losses: Vector, groups: Numbers) -> Vector:
        """Return 1/(G' n_g), of G' groups that the batch holds."""
        counts = np.bincount(groups)
        return 1.0 / (np.count_nonzero(counts) * counts[groups])


@dataclasses.dataclass(slots=True, kw_only=True)
class BatchWorstGroup:
    """The group whose running mean loss is highest.

    Parameters
    ----------
    state : (G,) float64
        The running means, in nats; infinite before a group was seen.
    pace : float
        How much of the next mean comes from the batch, in (0, 1].
    """

    name: ClassVar[str] = "worst_group"
    state: Vector
    pace: float = 0.1

    def weights(self, losses: Vector, groups: Numbers) -> Vector:
        """Return 1/n_g for the examples of that group, and 0 for the others."""
        counts, means = _means(losses, groups, len(self.state))
        seen = counts > 0
        fresh = seen & ~np.isfinite(self.state)
        self.state[fresh] = means[fresh]
        self.state[seen] += self.pace * (means[seen] - self.state[seen])
        worst = int(np.argmax(np.where(seen, self.state, -np.inf)))
        return np.where(groups == worst, 1.0 / counts[worst], 0.0)


@dataclasses.dataclass(slots=True, kw_only=True)
class BatchGroupDro:
    """Groups by exponentiated gradient, with the adjustment C/sqrt(n_g).

    Parameters
    ----------
    state : (G,) float64
        The groups' weights, adding up to 1.
    adjustment : (G,) float64
        Added to each group's loss, in nats.
    step_size : float
        Of the exponentiated gradient.
    """

    name: ClassVar[str] = "group_dro"
    state: Vector
    adjustment: Vector
    step_size: float = 0.01

    def weights(self, losses: Vector, groups: Numbers) -> Vector:
        """Return each group's weight, shared by its examples of the batch."""
        counts, means = _means(losses, groups, len(self.state))
        seen = counts > 0
        steps = np.where(seen, self.step_size * (means + self.adjustment), 0.0)
        self.state *= np.exp(steps - steps.max())
        self.state /= self.state.sum()
        weights: Vector = self.state[groups] / counts[groups]
        weights /= weights.sum()
        return weights


@dataclasses.dataclass(slots=True, kw_only=True)
class BatchCvar:
    """The worst share of the batch.

    Parameters
    ----------
    alpha : float
        The share, in (0, 1].
    """

    name: ClassVar[str] = "cvar"
    state: Vector = dataclasses.field(default_factory=lambda: np.zeros(0))
    alpha: float = 0.1

    def weights(self, losses: Vector, groups: Numbers) -> Vector:
        """Return 1/k for the k examples with the highest losses."""
        many = max(1, round(self.alpha * len(losses)))
        weights = np.zeros(len(losses))
        weights[np.argsort(-losses, kind="stable")[:many]] = 1.0 / many
        return weights


NAMES = (BatchErm.name, BatchReweight.name, BatchWorstGroup.name, BatchGroupDro.name, BatchCvar.name)


def batch_objective(
    name: str, counts: Sequence[int] | Numbers, *, adjustment: float = 0.0, alpha: float = 0.1
) -> BatchObjective:
    """Return an objective that has seen nothing yet.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    counts : sequence of G int
        Training images of each group.
    adjustment : float
        C of group DRO.
    alpha : float
        The share of CVaR.

    Raises
    ------
    InputError
        For another name.
    """
    groups = len(counts)
    if name == BatchErm.name:
        return BatchErm()
    if name == BatchReweight.name:
        return BatchReweight()
    if name == BatchWorstGroup.name:
        return BatchWorstGroup(state=np.full(groups, np.inf))
    if name == BatchGroupDro.name:
        added = adjustment / np.sqrt(np.maximum(np.asarray(counts, dtype=np.float64), 1.0))
        return BatchGroupDro(state=np.full(groups, 1.0 / groups), adjustment=added)
    if name == BatchCvar.name:
        return BatchCvar(alpha=alpha)
    raise InputError(f"objective {name!r} is unknown; {nearest(name, NAMES)}")


def _means(losses: Vector, groups: Numbers, count: int) -> tuple[Vector, Vector]:
    counts = np.bincount(groups, minlength=count).astype(np.float64)
    sums = np.bincount(groups, losses, minlength=count)
    return counts, sums / np.maximum(counts, 1.0)
