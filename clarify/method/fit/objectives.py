"""What the last layer is fitted to: each objective a value, named as it is logged.

All of them are the worst weighted mean of the cross-entropies over a set of example weights (see
`example_weights`), so all are convex for a linear head. To each the solver adds
``weight_decay / 2 * ||weight||^2``.

| name | loss | source |
|---|---|---|
| ``erm`` | mean | |
| ``reweight`` | mean over groups of the group's mean | DFR, arXiv 2204.02937 |
| ``worst_group`` | max over groups of the group's mean | Clarify's own code, arXiv 2402.03715 |
| ``group_dro`` | max over groups of mean + C/sqrt(n_g), by steps | Sagawa 2020, arXiv 1911.08731 |
| ``cvar`` | mean of the worst share alpha of the examples | Levy et al. 2020, arXiv 2010.05893 |
| ``weighted`` | mean under given example weights | second stage of JTT, arXiv 2107.09044 |
"""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import FeatureError, GroupError, InputError
from clarify.method.arrays import finite_vector, read_only
from clarify.method.fit.example_weights import WeightSet
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups, Groups

__all__ = ["CvarDro", "Erm", "GroupDro", "Objective", "Reweight", "Weighted", "WorstGroup"]


class Objective(abc.ABC):
    """What `fit_head` minimises; the six classes here are all there are."""

    __slots__ = ()
    name: ClassVar[str]

    @abc.abstractmethod
    def weight_set(self, count: int) -> WeightSet:
        """Return the weights on `count` examples that the worst is taken over."""

    def value(self, losses: ArrayLike) -> float:
        """Return the objective of per-example losses (N,), in nats, without weight decay."""
        vector = finite_vector(losses, what="losses")
        if not len(vector):
            raise FeatureError("losses: there are none; give at least one")
        weights = self.weight_set(len(vector))
        return weights.worst(weights.atom_losses(vector))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _OverGroups(Objective):
    """What counts by groups of the training images, none of them empty."""

    groups: Groups

    def __post_init__(self) -> None:
        _check_groups(self.groups)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Erm(Objective):
    """Mean cross-entropy: the ordinary way."""

    name: ClassVar[str] = "erm"

    def weight_set(self, count: int) -> WeightSet:
        """Return the one weighting 1/N."""
        return _one_atom(np.full(count, 1.0 / count))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reweight(_OverGroups):
    """Mean over groups of each group's mean; `groups` are those of the training images, none empty."""

    name: ClassVar[str] = "reweight"

    def weight_set(self, count: int) -> WeightSet:
        """Return the one weighting 1/(G n_g)."""
        return _one_atom(_within(self.groups, count) / len(self.groups.names))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorstGroup(_OverGroups):
    """Largest of the groups' means, solved to a certified optimum; `groups` as in `Reweight`."""

    name: ClassVar[str] = "worst_group"

    def weight_set(self, count: int) -> WeightSet:
        """Return the convex hull of the groups' uniform weightings."""
        return _group_atoms(self.groups, count, adjustment=0.0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GroupDro(_OverGroups):
    """Group DRO by exponentiated-gradient weights on the groups, full batch.

    Each step multiplies group g's weight by ``exp(step_size * (L_g + C / sqrt(n_g)))`` and then
    takes one preconditioned step of the head at those weights (Sagawa et al. 2020, algorithm 1,
    with the whole training split as the batch and their SGD step replaced). It stops after
    `steps`, or as soon as the gap to the optimum is certified to be under the tolerance.

    Parameters
    ----------
    groups : DescribedGroups or AnnotatedGroups
        As in `Reweight`.
    adjustment : float
        C, 0 or more, in nats: smaller groups are asked for a smaller training loss. With 0 it
        goes to the same optimum as `WorstGroup`.
    step_size : float
        Of the exponentiated gradient, positive.
    steps : int
        At most so many, 1 or more.
    """

    adjustment: float = 1.0
    step_size: float = 1.0
    steps: int = 300
    name: ClassVar[str] = "group_dro"

    def __post_init__(self) -> None:
        _check_groups(self.groups)
        if not (np.isfinite(self.adjustment) and self.adjustment >= 0):
            raise InputError(f"group_dro: adjustment C is {self.adjustment}; 0 or more is legal")
        if not (np.isfinite(self.step_size) and self.step_size > 0):
            raise InputError(f"group_dro: step_size is {self.step_size}; above 0 is legal")
        if self.steps < 1:
            raise InputError(f"group_dro: steps is {self.steps}; 1 or more is legal")

    def weight_set(self, count: int) -> WeightSet:
        """Return the hull of the groups' uniform weightings, with the offsets C/sqrt(n_g)."""
        return _group_atoms(self.groups, count, adjustment=self.adjustment)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CvarDro(Objective):
    """Mean of the worst share of the examples: no groups needed.

    Parameters
    ----------
    alpha : float
        The share, in (0, 1]; 1 is `Erm`, a share under 1/N the single worst example.
    """

    alpha: float = 0.2
    name: ClassVar[str] = "cvar"

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 1:
            raise InputError(f"cvar: alpha is {self.alpha}; above 0 and at most 1 is legal")

    def weight_set(self, count: int) -> WeightSet:
        """Return the simplex on the examples, capped at 1/(alpha N)."""
        return WeightSet(
            atom=np.arange(count, dtype=np.int64),
            within=np.ones(count),
            offset=np.zeros(count),
            cap=min(1.0, 1.0 / (self.alpha * count)),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weighted(Objective):
    """Mean of the losses under given weights of the examples.

    Parameters
    ----------
    weights : array_like of float, (N,)
        Of the training images, 0 or more, not all 0; kept scaled to add up to 1. Each class needs
        some weight: without it no optimum exists, and the fit ends with a `SolverError`.
    """

    weights: NDArray[np.float64]
    name: ClassVar[str] = "weighted"

    def __post_init__(self) -> None:
        given = finite_vector(self.weights, what="weights")
        if (given < 0).any():
            row = int(np.argmax(given < 0))
            raise InputError(f"weighted: weight {row} is {given[row]}; 0 or more is legal")
        if not given.any():
            raise InputError(
                f"weighted: none of the {len(given)} weights is above 0; give at least one that is"
            )
        # Divided by the largest first: the sum of very large ones would overflow.
        scaled = given / given.max()
        object.__setattr__(self, "weights", read_only(scaled / scaled.sum()))

    def weight_set(self, count: int) -> WeightSet:
        """Return the one weighting that was given."""
        if len(self.weights) != count:
            raise FeatureError(
                f"weighted: {len(self.weights)} weights for {count} examples; give one an example"
            )
        return _one_atom(self.weights)


def _check_groups(groups: Groups) -> None:
    if not isinstance(groups, DescribedGroups | AnnotatedGroups):
        raise InputError(
            f"groups: a {type(groups).__name__} was given; DescribedGroups, or AnnotatedGroups "
            "for an oracle run, are legal"
        )
    empty = np.flatnonzero(groups.counts == 0)
    if len(empty):
        raise GroupError(
            f"group {groups.names[int(empty[0])]!r} has no training images; an objective over "
            "groups needs at least 1 in each, so merge it or choose another objective"
        )


def _within(groups: Groups, count: int) -> NDArray[np.float64]:
    if len(groups.index) != count:
        raise GroupError(
            f"groups of {len(groups.index)} images for {count} examples; give the groups of the same images"
        )
    return np.asarray(1.0 / groups.counts[groups.index], dtype=np.float64)


def _one_atom(within: NDArray[np.float64]) -> WeightSet:
    atom = np.zeros(len(within), dtype=np.int64)
    return WeightSet(atom=atom, within=within, offset=np.zeros(1), cap=1.0)


def _group_atoms(groups: Groups, count: int, *, adjustment: float) -> WeightSet:
    return WeightSet(
        atom=groups.index, within=_within(groups, count), offset=adjustment / np.sqrt(groups.counts), cap=1.0
    )
