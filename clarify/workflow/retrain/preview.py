"""What retraining with one phrase would do, within a second or two and without a record."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from clarify.method.fit.objectives import WorstGroup
from clarify.method.fit.training import fit_head
from clarify.method.groups.groups import DescribedGroups, described_groups
from clarify.workflow.describe.phrases import halves_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clarify.method.phrases.descriptions import Description
    from clarify.workflow.model.failures import Failures
    from clarify.workflow.model.project import Project, SplitData

__all__ = ["MOST_CLASSES", "MOST_IMAGES", "Previewed", "preview_retraining"]

WEIGHT_DECAY = 0.03
"""In the middle of those that a retraining chooses from."""

TOLERANCE = 1e-2
MOST_CLASSES = 10
"""Of many classes, the described one and those that it is mixed up with most are looked at."""

MOST_IMAGES = 1_000
"""Training images of a group behind a preview: a mean over more would take longer and say little
more, and the worst group knows the others by their means alone."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Previewed:
    """Accuracies on validation now, and after retraining.

    Parameters
    ----------
    name : str
        Of the images: with the phrase, without it, all.
    now, then : float or None
        Fractions; None where there are no such images.
    """

    name: str
    now: float | None
    then: float | None


def preview_retraining(
    project: Project, failures: Failures, description: Description, train: SplitData
) -> tuple[Previewed, ...]:
    """Retrain roughly with one description: one weight decay, a loose gap, a sample of the images.

    Where there are more than `MOST_CLASSES`, the others are left out of it, before and after: the
    figures are then of telling these classes apart.

    Raises
    ------
    GroupError
        If no training image falls into one of the halves.
    """
    all_classes, data = project.manifest.classes, failures.data
    own = project.manifest.class_index(description.class_name)
    classes = _mixed_up(failures, own, len(all_classes))
    names = [all_classes[number] for number in classes]
    part, seen = _restricted(train, classes), _restricted(data, classes)
    groups = described_groups(part.labels, names, halves_of(project, [description], part))
    rows = _sample(groups.index, most=MOST_IMAGES)
    sampled = DescribedGroups(index=groups.index[rows], names=groups.names)
    fit = fit_head(
        part.features[rows],
        part.labels[rows],
        names,
        WorstGroup(groups=sampled),
        WEIGHT_DECAY,
        tolerance=TOLERANCE,
    )
    now = failures.right[np.isin(data.labels, classes)]
    then = np.equal(fit.head.predict(seen.features), seen.labels)
    ((_, having),) = halves_of(project, [description], seen)[description.class_name]
    of_class = seen.labels == classes.index(own)
    of_all = (
        "all validation images"
        if len(classes) == len(all_classes)
        else (f"all of the {len(classes)} classes it is mixed up with")
    )
    named = {
        f"{description.class_name} with it": of_class & having,
        "without it": of_class & ~having,
        of_all: np.ones_like(of_class),
    }
    return tuple(
        Previewed(name=name, now=_share(now, mask), then=_share(then, mask)) for name, mask in named.items()
    )


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
    return dataclasses.replace(
        data.take(np.flatnonzero(np.isin(data.labels, classes))),
        labels=np.searchsorted(classes, data.labels[np.isin(data.labels, classes)]),
    )


def _sample(index: NDArray[np.int64], *, most: int) -> NDArray[np.int64]:
    """Return a seeded sample of rows, so many of each group at most."""
    order = np.random.default_rng(0).permutation(len(index))
    chosen = [order[index[order] == group][:most] for group in np.unique(index)]
    return np.sort(np.concatenate(chosen))


def _share(right: NDArray[np.bool_], mask: NDArray[np.bool_]) -> float | None:
    return float(right[mask].mean()) if mask.any() else None
