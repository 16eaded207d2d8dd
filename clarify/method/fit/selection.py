"""Choose among fitted heads by a named rule, on images they were not fitted to.

Each rule is an object that is logged by name (after DomainBed, arXiv 2007.01434). Only one of them
looks at ground-truth groups, and it is marked *oracle*: a run that uses it is labelled so.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import InputError
from clarify.method.arrays import generator
from clarify.method.fit.head import Head
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups, Groups
from clarify.method.groups.metrics import Accuracy, Evaluation, evaluate

__all__ = [
    "ByAnnotatedWorstGroup",
    "ByAverage",
    "ByDescribedWorstGroup",
    "ByWorstClass",
    "Selected",
    "Selection",
    "hold_out",
    "select",
]


class FittedHead(Protocol):
    """A candidate."""

    @property
    def head(self) -> Head:
        """What predicts."""
        ...

    @property
    def weight_decay(self) -> float:
        """Of equal candidates the larger one is chosen."""
        ...


AnyFitted = TypeVar("AnyFitted", bound=FittedHead)


AVERAGE_GIVEN = 0.02
"""So much of average accuracy, as a fraction, may a fit with a larger weight decay cost: see `select`."""


class Selection(Protocol):
    """A rule that scores predictions; see `select` for what is chosen by it."""

    name: ClassVar[str]
    oracle: ClassVar[bool]
    of_few: ClassVar[bool]
    """Whether the score may be of few images, so that a little of it is luck."""

    def score(self, predictions: ArrayLike, labels: ArrayLike, groups: Groups | None) -> float:
        """Return the score in [0, 1]; higher is better."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ByDescribedWorstGroup:
    """Accuracy of the worst described group: no annotations needed."""

    name: ClassVar[str] = "described_worst_group"
    oracle: ClassVar[bool] = False
    of_few: ClassVar[bool] = True

    def score(self, predictions: ArrayLike, labels: ArrayLike, groups: Groups | None) -> float:
        """Return the lowest accuracy of a described group that has images."""
        if not isinstance(groups, DescribedGroups):
            raise _other_groups(self.name, "DescribedGroups", groups)
        return _worst_group(predictions, labels, groups)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ByAnnotatedWorstGroup:
    """Accuracy of the worst annotated group: ground truth, so the run is an oracle."""

    name: ClassVar[str] = "annotated_worst_group"
    oracle: ClassVar[bool] = True
    of_few: ClassVar[bool] = True

    def score(self, predictions: ArrayLike, labels: ArrayLike, groups: Groups | None) -> float:
        """Return the lowest accuracy of an annotated group that has images."""
        if not isinstance(groups, AnnotatedGroups):
            raise _other_groups(self.name, "AnnotatedGroups", groups)
        return _worst_group(predictions, labels, groups)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ByAverage:
    """Average accuracy."""

    name: ClassVar[str] = "average"
    oracle: ClassVar[bool] = False
    of_few: ClassVar[bool] = False

    def score(self, predictions: ArrayLike, labels: ArrayLike, groups: Groups | None = None) -> float:
        """Return the share predicted right; groups are not looked at."""
        return _report(predictions, labels, None).average


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ByWorstClass:
    """Accuracy of the worst class."""

    name: ClassVar[str] = "worst_class"
    oracle: ClassVar[bool] = False
    of_few: ClassVar[bool] = False

    def score(self, predictions: ArrayLike, labels: ArrayLike, groups: Groups | None = None) -> float:
        """Return the lowest accuracy of a class that has images; groups are not looked at."""
        values = [of.value for of in _report(predictions, labels, None).per_class.values()]
        return min(value for value in values if value is not None)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Selected(Generic[AnyFitted]):
    """What a rule chose; `table` has each candidate's weight decay and score, in the order given."""

    fit: AnyFitted
    rule: Selection
    table: tuple[tuple[float, float], ...]


def select(
    fits: Sequence[AnyFitted],
    features: ArrayLike,
    labels: ArrayLike,
    rule: Selection,
    *,
    groups: Groups | None = None,
) -> Selected[AnyFitted]:
    """Choose the fit that a rule scores highest, or of a worst group one as good with a larger weight decay.

    On few images the highest score is half luck, and it falls on small weight decays as often as on large
    ones, which do better on images to come. So of a rule that is `of_few` the largest weight decay is chosen
    whose score is within one standard error of the highest (Breiman et al. 1984, section 3.4.3), if it costs
    at most `AVERAGE_GIVEN` of average accuracy against that one.

    Parameters
    ----------
    fits : sequence of FittedHead
        At least one, such as `Fit`.
    features : array_like of float, (N, D)
        Raw features of images that the fits have not seen.
    labels : array_like of int, (N,)
        In [0, K).
    groups : DescribedGroups or AnnotatedGroups, optional
        Of these N images, of the type that the rule is for.

    Returns
    -------
    Selected
        Of equal scores the higher average accuracy, then the larger weight decay.

    Raises
    ------
    InputError
        For no fits, or groups of another type than the rule's.
    """
    if not fits:
        raise InputError("selection: there are no fits to choose from; give at least one")
    ranks = []
    for fit in fits:
        predictions = fit.head.predict(features)
        score = rule.score(predictions, labels, groups)
        ranks.append((score, ByAverage().score(predictions, labels), fit.weight_decay))
    chosen = max(range(len(fits)), key=ranks.__getitem__)
    if rule.of_few and groups is not None:
        best, average, _ = ranks[chosen]
        near = best - _error(fits[chosen].head.predict(features), labels, groups)
        # .26 to .24 are two points, in floats a little more.
        least = average - AVERAGE_GIVEN - 1e-9
        enough = [k for k, rank in enumerate(ranks) if rank[0] >= near and rank[1] >= least]
        chosen = max(enough, key=lambda k: (ranks[k][2], ranks[k]))
    return Selected(fit=fits[chosen], rule=rule, table=tuple((decay, score) for score, _, decay in ranks))


def _error(predictions: ArrayLike, labels: ArrayLike, groups: Groups) -> float:
    """Return the standard error of the worst group's accuracy, with one right and one wrong image added."""
    worst = _worst(predictions, labels, groups)
    share = (worst.correct + 1) / (worst.count + 2)
    return math.sqrt(share * (1 - share) / (worst.count + 2))


def hold_out(
    labels: ArrayLike, *, share: float = 0.2, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Part rows at random into those to fit and those to hold out, class by class.

    Parameters
    ----------
    labels : array_like of int, (N,)
    share : float
        Of each class to hold out, in (0, 1), rounded; every class keeps at least one row to fit.
    seed : int
        Same seed, same parts.

    Returns
    -------
    tuple of ndarray of int64
        Row numbers to fit and to hold out, each ascending.

    Raises
    ------
    InputError
        For a share out of range.
    """
    if not 0 < share < 1:
        raise InputError(f"hold out: share is {share}; above 0 and under 1 is legal")
    truth = np.asarray(labels)
    rng = generator(seed, "hold out")
    held = np.zeros(len(truth), dtype=np.bool_)
    for label in np.unique(truth):
        rows = np.flatnonzero(truth == label)
        size = min(round(share * len(rows)), len(rows) - 1)
        held[rng.permutation(rows)[:size]] = True
    return np.flatnonzero(~held).astype(np.int64), np.flatnonzero(held).astype(np.int64)


def _worst_group(predictions: ArrayLike, labels: ArrayLike, groups: Groups) -> float:
    worst = _worst(predictions, labels, groups)
    return worst.correct / worst.count


def _worst(predictions: ArrayLike, labels: ArrayLike, groups: Groups) -> Accuracy:
    """Return the accuracy of the worst group; of equal ones of the one with fewest images."""
    filled = [of for of in (_report(predictions, labels, groups).groups or {}).values() if of.count]
    return min(filled, key=lambda of: (of.correct / of.count, of.count))


def _report(predictions: ArrayLike, labels: ArrayLike, groups: Groups | None) -> Evaluation:
    said, truth = np.asarray(predictions), np.asarray(labels)
    if not truth.size or said.shape != truth.shape:
        raise InputError(
            f"selection: predictions of shape {said.shape}, labels of shape {truth.shape}; "
            "one prediction a label, at least 1, is legal"
        )
    classes = int(max(said.max(), truth.max())) + 1
    return evaluate(said, truth, [str(k) for k in range(classes)], groups=groups)


def _other_groups(rule: str, legal: str, groups: Groups | None) -> InputError:
    seen = "no groups were" if groups is None else f"a {type(groups).__name__} was"
    return InputError(f"selection by {rule}: {seen} given; {legal} is legal")
