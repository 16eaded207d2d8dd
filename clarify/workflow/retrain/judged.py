"""What the gate looks at: images that no compared model was fitted to, and what became of them.

These are validation images, of a described class those only that were set aside when its phrase was chosen;
where these hold few of a described half, training images as well, each predicted by models that were fitted
to the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clarify.discover.settings import SETTINGS, setting_axes
from clarify.discover.vocabulary import topics
from clarify.method.decisions.paired import paired
from clarify.method.decisions.subgroups import find_subgroups
from clarify.method.groups.groups import DescribedGroups
from clarify.track.gate_evidence import GateEvidence, GateGroup, GateSubgroup
from clarify.workflow.describe.grouping import THIN, explored_of, judged_counts
from clarify.workflow.describe.phrase_cache import embedded, known_phrases

if TYPE_CHECKING:
    from clarify.workflow.model.arrays import DataSet
    from clarify.workflow.model.project import SplitData

__all__ = ["Predicted", "classes_of", "gate_evidence", "is_thin"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predicted:
    """What three models say of the same N images.

    Parameters
    ----------
    base, now : (N,) int64
        Class numbers, before and after.
    control : (N,) int64
        Of the model that is retrained in the same way without the phrases.
    """

    base: NDArray[np.int64]
    now: NDArray[np.int64]
    control: NDArray[np.int64]

    def joined(self, other: Predicted) -> Predicted:
        """Return what they say of these images and then of others."""
        return Predicted(
            base=np.concatenate((self.base, other.base)),
            now=np.concatenate((self.now, other.now)),
            control=np.concatenate((self.control, other.control)),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judged:
    """The judged images together: by name which of them each model gets right."""

    base: NDArray[np.bool_]
    now: NDArray[np.bool_]
    control: NDArray[np.bool_]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    embeddings: NDArray[np.float32]


def is_thin(
    groups: DescribedGroups, classes: NDArray[np.int64], explored: Mapping[str, NDArray[np.int64]]
) -> bool:
    """Whether few images of a part of a class are judged, so that training images are to be as well.

    Parameters
    ----------
    groups : DescribedGroups
        Of validation.
    classes : (G,) int64
        See `classes_of`.
    explored
        See `explored_of`: these are not judged.
    """
    counts = judged_counts(groups, explored)
    several = np.bincount(classes)[classes] > 1
    return bool((counts[several] < THIN).any())


def classes_of(groups: DescribedGroups, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each group's class (G,), from the training images (N,), of which each group has some."""
    found = np.zeros(len(groups.names), dtype=np.int64)
    found[groups.index] = labels
    return found


def gate_evidence(
    project: DataSet,
    splits: Mapping[str, SplitData],
    groups: Mapping[str, DescribedGroups],
    described: Collection[str],
    validation: Predicted,
    train: Predicted | None = None,
) -> GateEvidence:
    """Return what the gate looks at.

    Parameters
    ----------
    splits, groups : mapping by split
        With ``train`` and ``validation``.
    described : collection of str
        The described classes.
    validation : Predicted
        Of the validation images, by models that were not fitted to them.
    train : Predicted, optional
        Of the training images, likewise.
    """
    explored = explored_of(project, splits["validation"], validation.base, described)
    unseen = np.ones(len(validation.now), dtype=np.bool_)
    for each in explored.values():
        unseen[each] = False
    of = {"validation": validation} if train is None else {"validation": validation, "train": train}
    predicted = validation if train is None else validation.joined(train)
    rows = unseen if train is None else np.concatenate((unseen, np.ones(len(train.now), dtype=np.bool_)))
    labels = np.concatenate([splits[name].labels for name in of])[rows]
    judged = _Judged(
        base=predicted.base[rows] == labels,
        now=predicted.now[rows] == labels,
        control=predicted.control[rows] == labels,
        labels=labels,
        groups=np.concatenate([groups[name].index for name in of])[rows],
        embeddings=np.concatenate([splits[name].embeddings for name in of])[rows],
    )
    classes = classes_of(groups["train"], splits["train"].labels)
    every = [project.manifest.classes[label] for label in classes]
    found = tuple(
        _group(name, class_name, class_name in described, judged, judged.groups == number)
        for number, (name, class_name) in enumerate(zip(groups["train"].names, every, strict=True))
    )
    return GateEvidence(
        groups=found,
        subgroups=_subgroups(project, judged),
        validation=int(unseen.sum()),
        train=0 if train is None else len(train.now),
        divided=tuple(explored),
    )


def _group(
    name: str, class_name: str, described: bool, judged: _Judged, rows: NDArray[np.bool_]
) -> GateGroup:
    base, now, control = (right[rows] for right in (judged.base, judged.now, judged.control))
    return GateGroup(
        name=name,
        class_name=class_name,
        described=described,
        now_correct=int(now.sum()),
        over_base=paired(base, now),
        over_control=paired(control, now),
    )


def _subgroups(project: DataSet, judged: _Judged) -> tuple[GateSubgroup, ...]:
    """Search along the axes of the setting, as far as the encoder knows their words."""
    axes, places = setting_axes(judged.embeddings, judged.labels, _known_topics(project))
    found = find_subgroups(judged.labels, judged.base, judged.now, places)
    return tuple(
        GateSubgroup(
            name=f"{project.manifest.classes[each.label]} · towards {axes[each.axis].end(high=each.high)}",
            changed=each.changed,
        )
        for each in found
    )


def _known_topics(project: DataSet) -> dict[str, tuple[tuple[str, ...], NDArray[np.float32]]]:
    """Return the words of each topic of the setting that the encoder knows, with their embeddings."""
    found = {}
    for topic in SETTINGS:
        words = known_phrases(project, topics()[topic])
        if words:
            found[topic] = (words, embedded(project, words))
    return found
