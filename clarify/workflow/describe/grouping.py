"""The groups that descriptions make of a data set's images, and a look at them beforehand."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from clarify.errors import GroupError, InputError
from clarify.method.groups.groups import DescribedGroups, fit_partition
from clarify.method.phrases.best_cut import concept_threshold
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.phrases import parse_phrase
from clarify.workflow.describe.phrases import description_scores, halves_of, has_captions
from clarify.workflow.model.arrays import DataSet
from clarify.workflow.model.project import SplitData

__all__ = ["GroupSize", "groups_by_descriptions", "groups_preview", "in_force"]

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
    too_few : bool
        Whether validation has so few images of it (`THIN`) that training images are judged, too.
    """

    name: str
    described: bool
    train: int
    validation: int
    too_few: bool


def groups_preview(
    project: DataSet, descriptions: Sequence[Description], *, train: SplitData, validation: SplitData
) -> tuple[GroupSize, ...]:
    """Return the groups of a retraining before it is started, those of described classes first.

    Raises
    ------
    InputError, GroupError
        As `groups_by_descriptions`.
    """
    splits = {"train": train, "validation": validation}
    groups = groups_by_descriptions(project, in_force(project, descriptions, splits), splits)
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
            groups["train"].names, groups["train"].counts, groups["validation"].counts, strict=True
        )
    ]
    return tuple(sorted(sizes, key=lambda each: not each.described))


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
