"""Groups of images: those that descriptions make, and those that annotations name.

The two are different types without a common constructor. Training and model selection take
`DescribedGroups`; `AnnotatedGroups` (ground truth) are for reports and for runs labelled oracle.
A function that asks for one cannot be handed the other unnoticed.

Source: arXiv 2402.03715, section 4: a description parts one class into two groups. Several
descriptions of a class and undescribed classes are handled here as the paper does not say; in its
authors' code undescribed classes fall out of the loss, here each is a group.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import GroupError, nearest, shown
from clarify.method.arrays import bool_vector, class_tuple, label_vector, read_only
from clarify.method.groups.cells import Cell, anchors_of, code_of, codes_of, distinct_terms, names_of

__all__ = [
    "AnnotatedGroups",
    "DescribedGroups",
    "Groups",
    "Halves",
    "Partition",
    "annotated_groups",
    "described_groups",
    "fit_partition",
]

Halves: TypeAlias = Mapping[str, Sequence[tuple[str, NDArray[np.bool_]]]]
"""By class name: each phrase with which of all N images have it (those of other classes too)."""

MOST_PHRASES = 8


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DescribedGroups:
    """Groups made by descriptions: for training, model selection and reports.

    Parameters
    ----------
    index : ndarray of int64, (N,)
        Each image's group, in [0, G).
    names : tuple of str, (G,)
        Such as ``"landbird · with water"``; an undescribed class goes by its own name.
    """

    index: NDArray[np.int64]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", _checked(self.index, self.names))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Images in each group (G,), 0 for an empty one."""
        return np.bincount(self.index, minlength=len(self.names)).astype(np.int64)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnnotatedGroups:
    """Groups from ground truth, for reports and runs labelled oracle; fields as of `DescribedGroups`."""

    index: NDArray[np.int64]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", _checked(self.index, self.names))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Images in each group (G,), 0 for an empty one."""
        return np.bincount(self.index, minlength=len(self.names)).astype(np.int64)


Groups: TypeAlias = DescribedGroups | AnnotatedGroups


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """How descriptions part the classes, found on training images, to be used on any split.

    Parameters
    ----------
    class_names : tuple of str, (K,)
        The labels' names in order.
    phrases : tuple of tuple of str, (K,)
        Each class's phrases in the order of its cells' places; empty where undescribed.
    cells : tuple of mapping from tuple of bool to int, (K,)
        For each class the group of every combination of having (True) and not having a phrase,
        those that were not seen included.
    names : tuple of str, (G,)
        The groups' names.
    """

    class_names: tuple[str, ...]
    phrases: tuple[tuple[str, ...], ...]
    cells: tuple[Mapping[Cell, int], ...] = dataclasses.field(hash=False)
    names: tuple[str, ...]

    def groups(self, labels: ArrayLike, halves: Halves) -> DescribedGroups:
        """Return the groups of some images, by the cells found in training.

        Parameters
        ----------
        labels : array_like of int, (N,)
            In [0, K).
        halves : mapping from class name to (phrase, bool (N,)) pairs
            The same phrases in the same order as in training, on these images.

        Returns
        -------
        DescribedGroups
            A group without images here keeps its number and has count 0.

        Raises
        ------
        GroupError
            For labels out of range, or other phrases than in training.
        """
        known = label_vector(labels, n_classes=len(self.class_names))
        having = _checked_halves(halves, self.class_names, len(known))
        index = np.empty(len(known), dtype=np.int64)
        for label, name in enumerate(self.class_names):
            given = tuple(phrase for phrase, _ in having.get(name, ()))
            if given != self.phrases[label]:
                raise GroupError(
                    f"class {shown(name)}: phrases {list(given)} given, "
                    f"{list(self.phrases[label])} in training; give the same in the same order"
                )
            rows = np.flatnonzero(known == label)
            group_of = np.zeros(2 ** len(given), dtype=np.int64)
            for cell, group in self.cells[label].items():
                group_of[code_of(cell)] = group
            index[rows] = group_of[codes_of(having.get(name, ()), rows)]
        return DescribedGroups(index=index, names=self.names)


def fit_partition(labels: ArrayLike, class_names: Sequence[str], halves: Halves) -> Partition:
    """Find the groups that descriptions make of the training images.

    Any cell that has an image is a group of its own: a rare half is what a phrase is there for. With the
    drawn birds of a class on the unusual side cut to 1, 3 and 6 training images, the worst group of test is
    76, 85 and 86 %, and 21, 23 and 26 % where cells under 10 join the other half.

    Parameters
    ----------
    labels : array_like of int, (N,)
        In [0, K).
    class_names : sequence of str, (K,)
        The labels' names in order.
    halves : mapping from class name to (phrase, bool (N,)) pairs
        For each described class its phrases, and which images have what they say.

    Returns
    -------
    Partition
        The cells of the intersection of all halves of a class, in the order "with" before
        "without"; an undescribed class is one group. A combination that no training image has belongs
        to the cell that differs in the fewest phrases, then to the larger one.

    Raises
    ------
    GroupError
        For labels out of range, an unknown class, halves of another length, or a phrase that puts
        all images of its class on one side (says class, phrase and the empty side).
    """
    names = class_tuple(class_names)
    known = label_vector(labels, n_classes=len(names))
    having = _checked_halves(halves, names, len(known))
    phrases: list[tuple[str, ...]] = []
    cells: list[dict[Cell, int]] = []
    group_names: list[str] = []
    for label, name in enumerate(names):
        of_class = having.get(name, ())
        rows = np.flatnonzero(known == label)
        _refuse_empty_half(name, of_class, rows)
        terms = distinct_terms([phrase for phrase, _ in of_class])
        anchors = anchors_of(len(terms), codes_of(of_class, rows))
        groups = sorted(set(anchors.values()), reverse=True)
        cells.append({cell: len(group_names) + groups.index(to) for cell, to in anchors.items()})
        group_names += names_of(name, terms, anchors, groups)
        phrases.append(tuple(phrase for phrase, _ in of_class))
    return Partition(class_names=names, phrases=tuple(phrases), cells=tuple(cells), names=tuple(group_names))


def described_groups(labels: ArrayLike, class_names: Sequence[str], halves: Halves) -> DescribedGroups:
    """Return the groups that descriptions make of these images: `fit_partition`, applied."""
    return fit_partition(labels, class_names, halves).groups(labels, halves)


def annotated_groups(
    labels: ArrayLike,
    class_names: Sequence[str],
    attribute_values: Sequence[str] | NDArray[np.str_],
    attribute_name: str,
    *,
    values: Sequence[str] | None = None,
) -> AnnotatedGroups:
    """Return one group for each class and value of an annotated attribute.

    Parameters
    ----------
    labels : array_like of int, (N,)
        In [0, K).
    class_names : sequence of str, (K,)
        The labels' names in order.
    attribute_values : sequence of str, (N,)
        Each image's value.
    attribute_name : str
        For messages.
    values : sequence of str, optional
        All legal values in order: give them, so that every split numbers its groups alike. By
        default those that are seen, sorted.

    Returns
    -------
    AnnotatedGroups
        ``K * len(values)`` groups, class by class, those without images too.

    Raises
    ------
    GroupError
        For labels out of range, unlike lengths, or a value that is not legal (says which row).
    """
    names = class_tuple(class_names)
    known = label_vector(labels, n_classes=len(names))
    seen = np.asarray(attribute_values, dtype=np.str_)
    what = f"attribute {shown(attribute_name)}"
    if seen.shape != known.shape:
        raise GroupError(
            f"{what}: has shape {seen.shape}, the labels {known.shape}; one value an image is legal"
        )
    legal = class_tuple([str(v) for v in np.unique(seen)] if values is None else values, what=what)
    place = np.full(len(seen), -1, dtype=np.int64)
    for number, value in enumerate(legal):
        place[seen == value] = number
    if (place < 0).any():
        row = int(np.argmax(place < 0))
        raise GroupError(f"{what}: row {row} is {shown(str(seen[row]))}; {nearest(str(seen[row]), legal)}")
    group_names = tuple(f"{name} · {value}" for name in names for value in legal)
    return AnnotatedGroups(index=known * len(legal) + place, names=group_names)


def _checked(index: NDArray[np.int64], names: tuple[str, ...]) -> NDArray[np.generic]:
    class_tuple(names, what="group names")
    return read_only(label_vector(index, n_classes=len(names), what="group index"))


def _checked_halves(halves: Halves, names: tuple[str, ...], length: int) -> Halves:
    checked: dict[str, list[tuple[str, NDArray[np.bool_]]]] = {}
    for name, of_class in halves.items():
        if name not in names:
            raise GroupError(f"halves of class {shown(name)}: no such class; {nearest(name, names)}")
        if len(of_class) > MOST_PHRASES:
            raise GroupError(
                f"class {shown(name)}: {len(of_class)} phrases; at most {MOST_PHRASES} are legal, "
                "so keep the best"
            )
        checked[name] = [
            (phrase, bool_vector(having, what=f"{name}, half {shown(phrase)}", length=length))
            for phrase, having in of_class
        ]
    return checked


def _refuse_empty_half(
    name: str, of_class: Sequence[tuple[str, NDArray[np.bool_]]], rows: NDArray[np.int64]
) -> None:
    for phrase, having in of_class:
        with_phrase = int(having[rows].sum())
        if 0 < with_phrase < len(rows):
            continue
        side = "without" if with_phrase else "with"
        raise GroupError(
            f"class {shown(name)}, phrase {shown(phrase)}: no image of its {len(rows)} is on the "
            f"side {side!r}; move the threshold so that both sides hold images"
        )
