"""The groups that descriptions make of a data set's images, and a look at them beforehand."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from clarify.errors import GroupError, InputError
from clarify.method.groups.groups import DescribedGroups, fit_partition
from clarify.method.phrases.best_cut import concept_threshold
from clarify.method.phrases.confirm import aside_of
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.phrases import parse_phrase
from clarify.workflow.describe.phrases import description_scores, halves_of, has_captions
from clarify.workflow.model.arrays import DataSet
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.project import SplitData

__all__ = [
    "THIN",
    "GroupSize",
    "explored_of",
    "groups_by_descriptions",
    "groups_preview",
    "in_force",
    "judged_counts",
]

THIN = 50
"""Validation images of a part of a described class under which the gate judges training images, too."""

FITTED = ("train", "validation")
"""What a retraining stands on; of the other splits it only reports."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GroupSize:
    """How many images a group has.

    Parameters
    ----------
    described : bool
        Whether it is part of a class that a phrase describes; else it is a whole class.
    train : int
        Training images.
    validation : int
        Validation images that the gate judges: not those on which a phrase was chosen.
    too_few : bool
        Whether these are so few (`THIN`) that training images are judged, too.
    """

    name: str
    described: bool
    train: int
    validation: int
    too_few: bool


def groups_preview(
    project: DataSet, failures: Failures, descriptions: Sequence[Description], *, train: SplitData
) -> tuple[GroupSize, ...]:
    """Return the groups of a retraining before it is started, those of described classes first.

    Parameters
    ----------
    failures : Failures
        What the base model gets wrong on validation.
    train : SplitData

    Raises
    ------
    InputError, GroupError
        As `groups_by_descriptions`.
    """
    splits = {"train": train, "validation": failures.data}
    groups = groups_by_descriptions(project, in_force(project, descriptions, splits), splits)
    described = {each.class_name for each in descriptions}
    explored = explored_of(project, failures.data, failures.predicted, described)
    whole = set(project.manifest.classes)
    sizes = [
        GroupSize(
            name=name,
            described=name not in whole,
            train=int(in_train),
            validation=int(in_validation),
            too_few=int(in_validation) < THIN,
        )
        for name, in_train, in_validation in zip(
            groups["train"].names,
            groups["train"].counts,
            judged_counts(groups["validation"], explored),
            strict=True,
        )
    ]
    return tuple(sorted(sizes, key=lambda each: not each.described))


def explored_of(
    project: DataSet, validation: SplitData, base: NDArray[np.int64], described: Collection[str]
) -> dict[str, NDArray[np.int64]]:
    """Return for each described class that was divided the rows on which its phrase was chosen.

    Parameters
    ----------
    base : (N,) int64
        What the base model predicts.
    described : collection of str
        The described classes.
    """
    found = {}
    for name in sorted(described):
        label = project.manifest.class_index(name)
        rows = validation.of_class(label)
        aside = aside_of(validation.ids[rows], base[rows] == label)
        if aside.any():
            found[name] = rows[~aside]
    return found


def judged_counts(groups: DescribedGroups, explored: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return how many validation images of each group (G,) the gate judges: all but those explored."""
    judged = np.delete(groups.index, np.concatenate([*explored.values(), np.empty(0, dtype=np.int64)]))
    return np.bincount(judged, minlength=len(groups.names)).astype(np.int64)


def in_force(
    project: DataSet, descriptions: Sequence[Description], splits: Mapping[str, SplitData]
) -> list[Description]:
    """Return descriptions with the cuts that a retraining uses.

    The cut that explains the errors best stands on few wrong images, and lies where the model begins to
    fail, not where the concept ends. So a phrase cuts where its scores of all training images part in two
    (`concept_threshold`): what it describes is the same in every class. With an ordinary validation split the
    corrected worst group is 4 to 18 points higher and varies less. A cut that a person made stays, and one
    that explains errors better on images that it was not found on (see `try_phrase`); so does that of a
    phrase which would leave one half of its class empty.

    Parameters
    ----------
    splits : mapping of split to SplitData
        With ``train`` and ``validation``.
    """
    _check_descriptions(project, descriptions)
    return [
        each if each.fixed_cut or parse_phrase(each.phrase).mentions else _at_concept(project, each, splits)
        for each in descriptions
    ]


def _at_concept(project: DataSet, what: Description, splits: Mapping[str, SplitData]) -> Description:
    phrase, label = parse_phrase(what.phrase), project.manifest.class_index(what.class_name)
    scores = {name: description_scores(project, phrase, splits[name], what.calibrations) for name in FITTED}
    moved = dataclasses.replace(what, threshold=concept_threshold(scores["train"]))
    for name, of_split in scores.items():
        having = moved.with_half(of_split[splits[name].of_class(label)])
        if having.all() or not having.any():
            return what
    return moved


def groups_by_descriptions(
    project: DataSet, descriptions: Sequence[Description], splits: Mapping[str, SplitData]
) -> dict[str, DescribedGroups]:
    """Return the groups of every split, those of ``train`` deciding which there are.

    A split of which it is not known, for want of captions, what they mention is left out, but for those
    two that a retraining stands on.

    Parameters
    ----------
    descriptions : sequence of Description
        At least one, each by the project's encoder.
    splits : mapping of split to SplitData
        With ``train`` and ``validation``.

    Raises
    ------
    InputError
        Without descriptions, for one of another encoder, or where captions that it asks are missing.
    GroupError
        If a description leaves one half of its class empty in training or validation.
    """
    _check_descriptions(project, descriptions)
    halves = {
        name: halves_of(project, descriptions, data)
        for name, data in splits.items()
        if name in FITTED or all(_is_captioned(project, each, data) for each in descriptions)
    }
    classes = project.manifest.classes
    partition = fit_partition(splits["train"].labels, classes, halves["train"])
    groups = {name: partition.groups(splits[name].labels, found) for name, found in halves.items()}
    _refuse_vanished(groups["validation"], "validation")
    return groups


def _is_captioned(project: DataSet, what: Description, data: SplitData) -> bool:
    of_class = data.of_class(project.manifest.class_index(what.class_name))
    return bool(has_captions(parse_phrase(what.phrase), data, of_class).all())


def _check_descriptions(project: DataSet, descriptions: Sequence[Description]) -> None:
    name, encoder = project.manifest.name, project.encoder.identity.digest
    if not descriptions:
        raise InputError(
            f"data set {name}: no kept description to retrain with; keep one first: "
            f'clarify describe {name} CLASS "PHRASE"'
        )
    for each in descriptions:
        if each.encoder != encoder:
            raise InputError(
                f"description {each.phrase!r} of class {each.class_name!r} was written with "
                f"another encoder ({each.encoder}) than {_encoder_name(project)} ({encoder}); describe it "
                f'again: clarify describe {name} "{each.class_name}" "{each.phrase}", or go back: '
                f"clarify encoder {name}"
            )
        project.manifest.class_index(each.class_name)


def _encoder_name(project: DataSet) -> str:
    return getattr(project.encoder, "name", "the one in use")


def _refuse_vanished(groups: DescribedGroups, split: str) -> None:
    empty = [name for name, n in zip(groups.names, groups.counts, strict=True) if n == 0]
    if empty:
        raise GroupError(
            f"split {split}: no image falls into the described group {empty[0]!r}, so no weight "
            "decay can be chosen by it; move the threshold or choose another phrase"
        )
