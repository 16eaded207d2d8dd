"""What is reported: average, adjusted average and worst-group accuracy, and paired intervals.

Source: arXiv 2402.03715, section 5; adjusted average as in Sagawa et al. 2020 (arXiv 1911.08731).
Accuracies are fractions. Nobody recomputes "worst" elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import GroupError, InputError
from clarify.method.arrays import bool_vector, class_tuple, generator, label_vector
from clarify.method.groups.groups import Groups
from clarify.method.intervals import Interval, wilson

__all__ = [
    "Accuracy",
    "Evaluation",
    "HalvesAccuracy",
    "Interval",
    "Side",
    "evaluate",
    "halves_accuracy",
    "paired_difference",
    "worst_described_half",
]

Side: TypeAlias = Literal["with", "without"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How many of `count` images, 0 or more, were predicted right."""

    count: int
    correct: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.count:
            raise InputError(f"accuracy: {self.correct} right of {self.count}; 0 to {self.count} is legal")

    @property
    def value(self) -> float | None:
        """The accuracy in [0, 1]; None where there are no images."""
        return self.correct / self.count if self.count else None

    @property
    def interval(self) -> Interval | None:
        """The accuracy with its 95 % interval; None where there are no images."""
        return wilson(self.correct / self.count, self.count) if self.count else None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One model on one split.

    Parameters
    ----------
    count : int
        Images, at least 1.
    average : float
        Share predicted right, in [0, 1].
    per_class : dict from class name to Accuracy
        In the order of the labels; a class without images has count 0.
    groups : dict from group name to Accuracy, or None
        In the order of the groups; None where none were given.
    adjusted_average : float or None
        Group accuracies weighted by the groups' *training* counts, over the groups that have
        images here. None where training counts were not given, or are 0 for all of these.
    worst_group : float or None
        The lowest accuracy of a group that has images.
    gap : float or None
        ``adjusted_average - worst_group``, 0 or more; lower is fairer.
    adjusted_interval : Interval or None
        Of the adjusted average.
    """

    count: int
    average: float
    per_class: dict[str, Accuracy] = dataclasses.field(hash=False)
    groups: dict[str, Accuracy] | None = dataclasses.field(hash=False)
    adjusted_average: float | None
    worst_group: float | None
    gap: float | None
    adjusted_interval: Interval | None = None

    def intervals(self) -> dict[str, Interval]:
        """Return the 95 % interval of each accuracy, by the flat names of `to_dict`.

        That of the worst group is the interval of the group that is worst here: which one it is, was
        chosen by the same images.
        """
        worst = _worst(self.groups or {})
        found = {
            "average_accuracy": wilson(self.average, self.count),
            "adjusted_average_accuracy": self.adjusted_interval,
            "worst_group_accuracy": None if worst is None else worst[1].interval,
        }
        found |= {f"class_accuracy/{name}": of.interval for name, of in self.per_class.items()}
        found |= {f"group_accuracy/{name}": of.interval for name, of in (self.groups or {}).items()}
        return {name: interval for name, interval in found.items() if interval is not None}

    def to_dict(self) -> dict[str, float]:
        """Return the metrics by flat names, those without a value left out.

        ``average_accuracy, adjusted_average_accuracy, worst_group_accuracy, gap,
        class_accuracy/<class>, group_accuracy/<group>``.
        """
        found: dict[str, float | None] = {
            "average_accuracy": self.average,
            "adjusted_average_accuracy": self.adjusted_average,
            "worst_group_accuracy": self.worst_group,
            "gap": self.gap,
        }
        found |= {f"class_accuracy/{name}": of.value for name, of in self.per_class.items()}
        found |= {f"group_accuracy/{name}": of.value for name, of in (self.groups or {}).items()}
        return {name: value for name, value in found.items() if value is not None}


class HalvesAccuracy(NamedTuple):
    """Accuracy on either side of a description; see `halves_accuracy`."""

    with_phrase: Accuracy
    without_phrase: Accuracy
    minority: Side | None


def evaluate(
    predictions: ArrayLike,
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    groups: Groups | None = None,
    train_counts: ArrayLike | None = None,
) -> Evaluation:
    """Report how often predictions are right: on average, by class and by group.

    Parameters
    ----------
    predictions, labels : array_like of int, (N,)
        In [0, K).
    class_names : sequence of str, (K,)
        The labels' names in order.
    groups : DescribedGroups or AnnotatedGroups, optional
        Of these N images.
    train_counts : array_like of int, (G,), optional
        Images of each group in the *training* split: the weights of the adjusted average.

    Returns
    -------
    Evaluation
        Where ``worst_group <= adjusted_average <= the best group's accuracy``.

    Raises
    ------
    InputError, GroupError
        For no images, unlike lengths or numbers out of range.
    """
    names = class_tuple(class_names)
    truth = label_vector(labels, n_classes=len(names))
    said = label_vector(predictions, n_classes=len(names), what="predictions")
    if not len(truth) or len(truth) != len(said):
        raise InputError(
            f"evaluation: {len(said)} predictions of {len(truth)} labels; "
            "as many of both, at least 1, are legal"
        )
    correct = said == truth
    per_class = _accuracies(correct, truth, names)
    by_group = None if groups is None else _accuracies(correct, _index(groups, correct), groups.names)
    lowest = _worst(by_group or {})
    worst = None if lowest is None else lowest[1].value
    adjusted = _adjusted(by_group, train_counts)
    return Evaluation(
        count=len(truth),
        average=float(correct.mean()),
        per_class=per_class,
        groups=by_group,
        adjusted_average=None if adjusted is None else adjusted.estimate,
        worst_group=worst,
        gap=None if adjusted is None or worst is None else adjusted.estimate - worst,
        adjusted_interval=adjusted,
    )


def halves_accuracy(correct: ArrayLike, half: ArrayLike) -> HalvesAccuracy:
    """Return the accuracy on both sides of a description, and which side is worse.

    Parameters
    ----------
    correct : array_like of bool, (N,)
        Which images of the described class a model got right.
    half : array_like of bool, (N,)
        Which of them have what the phrase says.

    Returns
    -------
    HalvesAccuracy
        ``(with_phrase, without_phrase, minority)``: two `Accuracy` and ``"with"``, ``"without"``
        or None where a side has no images or both are alike. The *minority* split of the paper is
        the side that is worse for the base model: keep that of the base when a retrained model is
        reported.

    Raises
    ------
    InputError
        For other than booleans, or unlike lengths.
    """
    right = bool_vector(correct, what="correct")
    having = bool_vector(half, what="half", length=len(right))
    there = Accuracy(count=int(having.sum()), correct=int(right[having].sum()))
    elsewhere = Accuracy(count=int((~having).sum()), correct=int(right[~having].sum()))
    minority: Side | None = None
    if there.value is not None and elsewhere.value is not None and there.value != elsewhere.value:
        minority = "with" if there.value < elsewhere.value else "without"
    return HalvesAccuracy(there, elsewhere, minority)


def worst_described_half(
    groups: Mapping[str, Accuracy], class_names: Sequence[str]
) -> tuple[str, Accuracy] | None:
    """Return the described half that a model does worst on, with its accuracy: the one definition of it.

    A half is a part that descriptions make of a class: with the phrase or without it, and of several
    phrases each combination. A class that nobody described has none, however badly a model does on it.
    Models can be ranked by this accuracy only if they are judged on the same halves; so the base model
    is judged on those of the correction beside it, and its worst half may be another one.

    Parameters
    ----------
    groups : mapping of name to Accuracy
        Those of `DescribedGroups`; undescribed classes, which go by their own names, may be among them.
    class_names : sequence of str
        All classes.

    Returns
    -------
    (str, Accuracy) or None
        Its accuracy is a value. Of equally bad halves the one with the fewest images; None where no half
        has images.
    """
    classes = set(class_names)
    return _worst({name: of for name, of in groups.items() if name not in classes})


def _worst(groups: Mapping[str, Accuracy]) -> tuple[str, Accuracy] | None:
    having = [(of.correct / of.count, of.count, name) for name, of in groups.items() if of.count]
    if not having:
        return None
    name = min(having)[2]
    return name, groups[name]


def paired_difference(
    base: ArrayLike,
    new: ArrayLike,
    groups: Groups | None = None,
    *,
    what: Literal["average", "worst_group"],
    seed: int,
    resamples: int = 1000,
) -> Interval:
    """Return by how much a new model is better on the same images, with a paired interval.

    Parameters
    ----------
    base, new : array_like of bool, (N,)
        Which images either model got right.
    groups : DescribedGroups or AnnotatedGroups, optional
        Needed for ``"worst_group"``. Resampling then keeps each group's size.
    what : {"average", "worst_group"}
        Which accuracy.
    seed : int
        Same seed, same interval.
    resamples : int
        Bootstrap resamples; at least 100.

    Returns
    -------
    Interval
        Of new minus base, in [-1, 1]; above 0 the new model is better. Both worst groups are
        looked for anew in every resample, so they need not be the same group.

    Raises
    ------
    InputError
        For no images, unlike lengths, too few resamples, another `what`, or missing groups.

    Notes
    -----
    Accuracies depend on the images only through how many each model got right in each group, so
    a resample is one multinomial draw of the four outcomes of a pair: exactly the bootstrap over
    images, at a cost that does not grow with N.
    """
    before = bool_vector(base, what="base")
    after = bool_vector(new, what="new", length=len(before))
    _check_paired(len(before), groups, what, resamples)
    index = np.zeros(len(before), dtype=np.int64)
    n_groups = 1
    if what == "worst_group" and groups is not None:
        index, n_groups = _index(groups, before), len(groups.names)
    outcome = 2 * before.astype(np.int64) + after
    table = np.bincount(4 * index + outcome, minlength=4 * n_groups).reshape(n_groups, 4)
    table = table[table.sum(axis=1) > 0]
    rng = generator(seed, f"paired {what}")
    drawn = np.stack([rng.multinomial(row.sum(), row / row.sum(), size=resamples) for row in table])
    estimate = float(_lowest_difference(table[:, None, :])[0])
    low, high = (float(end) for end in np.quantile(_lowest_difference(drawn), (0.025, 0.975)))
    return Interval(estimate=estimate, low=min(low, estimate), high=max(high, estimate))


def _check_paired(count: int, groups: Groups | None, what: str, resamples: int) -> None:
    if not count:
        raise InputError("paired difference: there are no images; at least 1 is needed")
    if what not in ("average", "worst_group"):
        raise InputError(f"paired difference: what is {what!r}; average, worst_group are legal")
    if what == "worst_group" and groups is None:
        raise InputError("paired difference: the worst group needs groups; give them")
    if resamples < 100:
        raise InputError(f"paired difference: resamples is {resamples}; at least 100 is legal")


def _lowest_difference(table: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return new less base of the lowest accuracy (R,), from outcome counts (G, R, 4)."""
    counts = table.sum(axis=2)
    base = ((table[..., 2] + table[..., 3]) / counts).min(axis=0)
    new = ((table[..., 1] + table[..., 3]) / counts).min(axis=0)
    difference: NDArray[np.float64] = new - base
    return difference


def _index(groups: Groups, correct: NDArray[np.bool_]) -> NDArray[np.int64]:
    if len(groups.index) != len(correct):
        raise GroupError(
            f"groups of {len(groups.index)} images for {len(correct)} predictions; "
            "give the groups of the same split"
        )
    return groups.index


def _accuracies(
    correct: NDArray[np.bool_], index: NDArray[np.int64], names: Sequence[str]
) -> dict[str, Accuracy]:
    counts = np.bincount(index, minlength=len(names))
    right = np.bincount(index[correct], minlength=len(names))
    return {
        name: Accuracy(count=int(count), correct=int(good))
        for name, count, good in zip(names, counts, right, strict=True)
    }


def _adjusted(by_group: dict[str, Accuracy] | None, train_counts: ArrayLike | None) -> Interval | None:
    if by_group is None or train_counts is None:
        return None
    weights = np.asarray(train_counts, dtype=np.float64)
    if weights.shape != (len(by_group),) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise GroupError(
            f"training counts {weights.tolist()} of {len(by_group)} groups; "
            "one count of 0 or more a group is legal"
        )
    having = [
        (of, weight)
        for of, weight in zip(by_group.values(), weights.tolist(), strict=True)
        if of.count and weight
    ]
    total = sum(weight for _, weight in having)
    if not total:
        return None
    everyone = [of.value for of in by_group.values() if of.value is not None]
    mean = float(sum(of.correct / of.count * weight for of, weight in having) / total)
    # As many images as tell as much where each counts alike: few with much weight tell little (Kish 1965).
    as_many = total**2 / sum(weight**2 / of.count for of, weight in having)
    # Rounding must not carry a mean past the values that it is a mean of.
    return wilson(min(max(mean, min(everyone)), max(everyone)), as_many)
