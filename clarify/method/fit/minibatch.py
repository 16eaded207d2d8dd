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

import abc
import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["BatchCvar", "BatchErm", "BatchGroupDro", "BatchObjective", "BatchReweight", "BatchWorstGroup"]

Vector = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclasses.dataclass(slots=True, kw_only=True)
class BatchObjective(abc.ABC):
    """Weighs the examples of a batch; what it remembers between steps is its `state`."""

    name: ClassVar[str]
    state: Vector = dataclasses.field(default_factory=lambda: np.zeros(0))

    @abc.abstractmethod
    def weights(self, losses: Vector, groups: Numbers) -> Vector:
        """Return the weights (B,) of a batch's examples, adding up to 1; takes note of the losses.

        Parameters
        ----------
        losses : (B,) float64
            In nats.
        groups : (B,) int64
            In [0, G).
        """


@dataclasses.dataclass(slots=True, kw_only=True)
class BatchErm(BatchObjective):
    """All examples alike."""

    name: ClassVar[str] = "erm"

    def weights(self, losses: Vector, groups: Numbers) -> Vector:
        """Return 1/B."""
        return np.full(len(losses), 1.0 / len(losses))


@dataclasses.dataclass(slots=True, kw_only=True)
class BatchReweight(BatchObjective):
    """All groups of the batch alike."""

    name: ClassVar[str] = "reweight"

    def weights(self, losses: Vector, groups: Numbers) -> Vector:
        """Return 1/(G' n_g), of G' groups that the batch holds."""
        counts = np.bincount(groups)
        return 1.0 / (np.count_nonzero(counts) * counts[groups])


@dataclasses.dataclass(slots=True, kw_only=True)
class BatchWorstGroup(BatchObjective):
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

    @classmethod
    def of(cls, counts: Numbers) -> BatchWorstGroup:
        """Return it for groups of so many training images (G,), none of which it has seen."""
        return cls(state=np.full(len(counts), np.inf))

    def weights(self, losses: Vector, groups: Numbers) -> Vector:
        """Return 1/n_g for the examples of that group, and 0 for the others."""
        counts = follow_means(self.state, losses, groups, pace=self.pace)
        worst = int(np.argmax(np.where(counts > 0, self.state, -np.inf)))
        return np.where(groups == worst, 1.0 / counts[worst], 0.0)


@dataclasses.dataclass(slots=True, kw_only=True)
class BatchGroupDro(BatchObjective):
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

    @classmethod
    def of(cls, counts: Numbers, *, adjustment: float) -> BatchGroupDro:
        """Return it for groups of so many training images (G,); `adjustment` is C."""
        added = adjustment / np.sqrt(np.maximum(np.asarray(counts, dtype=np.float64), 1.0))
        return cls(state=np.full(len(counts), 1.0 / len(counts)), adjustment=added)

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
class BatchCvar(BatchObjective):
    """The worst share `alpha` of the batch, in (0, 1]."""

    name: ClassVar[str] = "cvar"
    alpha: float = 0.1

    def weights(self, losses: Vector, groups: Numbers) -> Vector:
        """Return 1/k for the k examples with the highest losses."""
        many = max(1, round(self.alpha * len(losses)))
        weights = np.zeros(len(losses))
        weights[np.argsort(-losses, kind="stable")[:many]] = 1.0 / many
        return weights


def follow_means(running: Vector, losses: Vector, groups: Numbers, *, pace: float) -> Vector:
    """Let the running means (G,) of groups follow a batch's; returns its examples of each (G,).

    A mean that is not finite begins at the batch's.
    """
    counts, means = _means(losses, groups, len(running))
    seen = counts > 0
    fresh = seen & ~np.isfinite(running)
    running[fresh] = means[fresh]
    running[seen] += pace * (means[seen] - running[seen])
    return counts


def _means(losses: Vector, groups: Numbers, count: int) -> tuple[Vector, Vector]:
    counts = np.bincount(groups, minlength=count).astype(np.float64)
    sums = np.bincount(groups, losses, minlength=count)
    return counts, sums / np.maximum(counts, 1.0)
