"""What retraining with one phrase would do: the very fit of `clarify retrain`, without a record."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clarify.method.phrases.descriptions import Description
from clarify.workflow.describe.grouping import groups_by_descriptions, in_force
from clarify.workflow.describe.phrases import halves_of
from clarify.workflow.model.arrays import ArrayData, ClassNames, DataSet
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.project import SplitData
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.retrain.heads import correct_head

__all__ = [
    "MOST_CLASSES",
    "MOST_IMAGES",
    "Previewed",
    "Retrained",
    "corrected",
    "preview_of",
    "retrained",
    "who_pays",
]

MOST_CLASSES = 10
"""Of many classes, the described one and those that it is mixed up with most are looked at."""

MOST_IMAGES = 4_000
"""Training images of a group behind a preview; data sets of Waterbirds' size are seen whole."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """Accuracies on validation now, and after retraining.

    Parameters
    ----------
    name : str
        Of the images: with the phrase, without it, of a class that changes, all.
    whole : bool
        Whether they are of a whole class.
    now, then : float or None
        Fractions; None where there are no such images.
    cut : float
        Where a retraining parts the images, which need not be where the score does.
    """

    name: str
    now: float | None
    then: float | None
    cut: float
    whole: bool = False

    @property
    def gain(self) -> float:
        """What retraining brings, a fraction; below 0 is what it costs, and 0 where nobody knows."""
        return 0.0 if self.now is None or self.then is None else self.then - self.now


def corrected(project: DataSet, failures: Failures, description: Description, train: SplitData) -> Failures:
    """Return what a model gets wrong once it is retrained by the default recipe, the phrase cut as it is.

    Parameters
    ----------
    failures : Failures
        What it gets wrong on validation now.
    train : SplitData
        With the features that the model takes.

    Raises
    ------
    GroupError
        If no image of one of the splits falls into one of the halves.
    """
    splits = {"train": train, "validation": failures.data}
    groups = groups_by_descriptions(project, [description], splits)
    found = correct_head(project, splits, groups, Recipe(), descriptions=[description])
    return dataclasses.replace(failures, predicted=found.predicted)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Retrained:
    """What becomes of N validation images by retraining with one description.

    Parameters
    ----------
    classes : tuple of str, (C,)
        Those that the images are of: all, or those that the described one is mixed up with.
    data : SplitData
        The images, their labels in [0, C).
    cut : Description
        Cut as a retraining cuts it.
    having : (N,) bool
        Which of them have what it says.
    now, then : (N,) bool
        Which are right before and after.
    """

    classes: tuple[str, ...]
    data: SplitData
    cut: Description
    having: NDArray[np.bool_]
    now: NDArray[np.bool_]
    then: NDArray[np.bool_]

    @property
    def label(self) -> int:
        """The described class's number among these."""
        return self.classes.index(self.cut.class_name)


def retrained(project: DataSet, failures: Failures, description: Description, train: SplitData) -> Retrained:
    """Retrain with one description as `clarify retrain` does, without a record.

    Where there are more than `MOST_CLASSES`, the others are left out of it, before and after: the
    figures are then of telling these classes apart. Of a group of more than `MOST_IMAGES` training
    images a sample is fitted. On the images that are left it is `clarify retrain`, to the bit.

    Raises
    ------
    GroupError
        As `corrected`.
    """
    (cut,) = in_force(project, [description], {"train": train, "validation": failures.data})
    every = project.manifest.classes
    numbers = _mixed_up(failures, project.manifest.class_index(cut.class_name), len(every))
    classes = tuple(every[number] for number in numbers)
    names = ClassNames(name=project.manifest.name, classes=classes)
    some = ArrayData(manifest=names, encoder=project.encoder, reviewer=project.reviewer)
    part, seen = _restricted(train, numbers), _restricted(failures.data, numbers)
    ((_, in_training),) = halves_of(some, [cut], part)[cut.class_name]
    part = part.take(_sample(2 * part.labels + in_training, most=MOST_IMAGES))
    kept = np.isin(failures.data.labels, numbers)
    before = dataclasses.replace(failures, data=seen, predicted=failures.predicted[kept])
    ((_, having),) = halves_of(some, [cut], seen)[cut.class_name]
    return Retrained(
        classes=classes,
        data=seen,
        cut=cut,
        having=having,
        now=failures.right[kept],
        then=np.equal(corrected(some, before, cut, part).predicted, seen.labels),
    )


def preview_of(project: DataSet, found: Retrained) -> tuple[Previewed, ...]:
    """Return what retraining with one description does to its halves, to each class that changes, to all.

    Of the classes the one that loses most comes first.
    """
    of_class = found.data.labels == found.label

    def row(name: str, mask: NDArray[np.bool_], *, whole: bool = False) -> Previewed:
        now, then = _share(found.now, mask), _share(found.then, mask)
        return Previewed(name=name, now=now, then=then, cut=found.cut.threshold, whole=whole)

    classes = [row(name, found.data.labels == label, whole=True) for label, name in enumerate(found.classes)]
    of_all = (
        "all validation images"
        if len(found.classes) == len(project.manifest.classes)
        else f"all of the {len(found.classes)} classes it is mixed up with"
    )
    return (
        row(f"{found.cut.class_name} with it", of_class & found.having),
        row("without it", of_class & ~found.having),
        *sorted((each for each in classes if each.gain), key=lambda each: each.gain),
        row(of_all, np.ones_like(of_class)),
    )


def who_pays(found: Sequence[Previewed]) -> str:
    """Say in one sentence which classes lose how many points by a retraining; empty where none does."""
    costs = [(each.name, -100 * each.gain) for each in found if each.whole and each.gain < 0]
    if not costs:
        return ""
    first, *others = [f"{name} pays {_points(cost)}" for name, cost in costs]
    *between, last = [each.replace(" pays", "") for each in others] or [""]
    told = ", ".join([first, *between])
    return f"{told} and {last}." if last else f"{told}."


def _points(value: float) -> str:
    number = f"{value:.0f}" if value >= 1 else f"{value:.1f}"
    return "1 point" if number == "1" else f"{number} points"


def _mixed_up(failures: Failures, own: int, count: int) -> list[int]:
    """Return the class and those that it is taken for, or that are taken for it, in order."""
    if count <= MOST_CLASSES:
        return list(range(count))
    labels, predicted = failures.data.labels, failures.predicted
    mixed = np.bincount(predicted[labels == own], minlength=count)
    mixed = mixed + np.bincount(labels[predicted == own], minlength=count)
    mixed[own] = 0
    others = np.argsort(-mixed, kind="stable")[: MOST_CLASSES - 1]
    return sorted([own, *(int(other) for other in others)])


def _restricted(data: SplitData, classes: list[int]) -> SplitData:
    """Return the images of some classes, numbered anew."""
    rows = np.flatnonzero(np.isin(data.labels, classes))
    labels = np.searchsorted(classes, data.labels[rows])
    return dataclasses.replace(data.take(rows), labels=labels, truth=None)


def _sample(index: NDArray[np.int64], *, most: int) -> NDArray[np.int64]:
    """Return a seeded sample of rows, so many of each group at most."""
    order = np.random.default_rng(0).permutation(len(index))
    chosen = [order[index[order] == group][:most] for group in np.unique(index)]
    return np.sort(np.concatenate(chosen))


def _share(right: NDArray[np.bool_], mask: NDArray[np.bool_]) -> float | None:
    return float(right[mask].mean()) if mask.any() else None
