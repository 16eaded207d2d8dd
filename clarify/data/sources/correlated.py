"""A chosen spurious correlation: which images of an annotated data set give an exact group table.

Every class k of the new training split has N images, of which `share` have the value that k is
paired with; the others have the remaining paired values in equal parts. The other splits are
balanced over all these groups. An image never changes its split.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import TypeAlias

import polars as pl

from clarify.errors import InputError

__all__ = ["Correlation", "Drawn", "draw_correlated", "pair_by_counts", "training_groups"]

Groups: TypeAlias = Mapping[tuple[str, str], int]
"""Images by class and value."""

TOLD = 12


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """What is asked for.

    Parameters
    ----------
    attribute : str
        Column of the table.
    pairing : mapping of class to value
        At least two classes and two different values.
    values : tuple of str
        The different values of the pairing, in the attribute's order.
    share : Fraction
        In (0, 1].
    images : int, optional
        Of each class in training; else as many as the counts allow and the share parts without
        rounding, if there are so many.
    """

    attribute: str
    pairing: Mapping[str, str]
    values: tuple[str, ...]
    share: Fraction
    images: int | None
    seed: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What was drawn.

    Parameters
    ----------
    table : DataFrame
        Rows of the table that was given, in its order.
    images : int
        Of each class in training.
    groups : mapping of split to Groups
        The exact table.
    """

    table: pl.DataFrame
    images: int
    groups: Mapping[str, Groups]


def pair_by_counts(counts: Groups, classes: tuple[str, ...], values: tuple[str, ...]) -> dict[str, str]:
    """Pair each class with a value, the greatest groups first.

    Parameters
    ----------
    counts : mapping of (class, value) to int
    classes, values : tuples of str
        Of equal counts the first class, then the first value, goes first. With more classes than
        values, every value is taken once before one is taken again.

    Returns
    -------
    dict of class to value
    """
    by_size = sorted(
        ((label, value) for label in classes for value in values),
        key=lambda pair: (-counts.get(pair, 0), classes.index(pair[0]), values.index(pair[1])),
    )
    paired: dict[str, str] = {}
    while len(paired) < len(classes):
        free = set(values)
        for label, value in by_size:
            if label not in paired and value in free:
                paired[label] = value
                free.discard(value)
    return {label: paired[label] for label in classes}


def training_groups(wanted: Correlation, images: int) -> dict[tuple[str, str], int]:
    """Return the exact group table of training, ``len(pairing) * len(values)`` groups.

    Parameters
    ----------
    images : int
        Of each class. ``share * images``, rounded half up, have the paired value; what the other
        values cannot share equally goes to the first of them.
    """
    majority = (2 * wanted.share * images + 1) // 2
    each, more = divmod(images - majority, len(wanted.values) - 1)
    table = {}
    for label, paired in wanted.pairing.items():
        others = [value for value in wanted.values if value != paired]
        for value in wanted.values:
            extra = value != paired and others.index(value) < more
            table[label, value] = int(majority if value == paired else each + extra)
    return table


def draw_correlated(table: pl.DataFrame, splits: tuple[str, ...], wanted: Correlation, *, name: str) -> Drawn:
    """Draw the images of a correlated data set.

    Parameters
    ----------
    table : DataFrame
        ``id, label, split`` and the attribute, text.
    splits : tuple of str
        With ``train``; every other is balanced with as many images of each group as its smallest
        group has.
    name : str
        Of the data set, for messages.

    Returns
    -------
    Drawn
        The same for the same table and seed, whatever the order of its rows.

    Raises
    ------
    InputError
        If the counts do not allow it; tells them.
    """
    have = {split: _counts(table, split, wanted) for split in splits}
    images = _images(have["train"], wanted, f"data set {name}, split train")
    groups: dict[str, Groups] = {"train": training_groups(wanted, images)}
    for split in splits:
        if split != "train":
            groups[split] = _balanced(have[split], f"data set {name}, split {split}")
    rank = pl.col("key").rank("ordinal").over("split", "label", wanted.attribute)
    keys = [hashlib.sha256(f"{wanted.seed}:{id}".encode()).hexdigest() for id in table["id"]]
    quota = pl.DataFrame(
        [
            (split, label, value, count)
            for split, of_split in groups.items()
            for (label, value), count in of_split.items()
        ],
        schema={"split": pl.String, "label": pl.String, wanted.attribute: pl.String, "quota": pl.Int64},
        orient="row",
    )
    ranked = (
        table.with_columns(pl.Series("key", keys, dtype=pl.String))
        .with_columns(rank.alias("rank"))
        .join(quota, on=["split", "label", wanted.attribute], how="left", maintain_order="left")
    )
    drawn = ranked.filter(pl.col("rank") <= pl.col("quota")).select(table.columns)
    return Drawn(table=drawn, images=images, groups=MappingProxyType(groups))


def _counts(table: pl.DataFrame, split: str, wanted: Correlation) -> dict[tuple[str, str], int]:
    """Count a split's images of each group that is wanted, zeros too."""
    rows = table.filter(pl.col("split") == split)
    found = {
        (label, value): count
        for label, value, count in rows.group_by("label", wanted.attribute).len().iter_rows()
    }
    return {
        (label, value): found.get((label, value), 0) for label in wanted.pairing for value in wanted.values
    }


def _images(have: Groups, wanted: Correlation, where: str) -> int:
    """Return how many images each class of training gets."""

    def short(images: int) -> bool:
        needed = training_groups(wanted, images)
        return any(needed[group] > count for group, count in have.items())

    def whole(images: int) -> bool:
        needed = training_groups(wanted, images)
        return all(
            count > 0 or (wanted.share == 1 and wanted.pairing[label] != value)
            for (label, value), count in needed.items()
        )

    most, least = _least(short) - 1, _least(whole)
    share = float(wanted.share)
    if most < least:
        raise InputError(
            f"{where}: share {share:g} needs {least:,} or more images of each class to have one in "
            f"every group, the counts allow {most:,}: {_told(have)}; choose another --share, or "
            "other --pair CLASS=VALUE"
        )
    if wanted.images is None:
        return _most_exact(wanted, least, most)
    images = wanted.images
    if images < least:
        raise InputError(
            f"{where}: {images:,} images of each class with share {share:g} leave a group empty; "
            f"legal are --images {least} to {most}"
        )
    if images > most:
        needed = training_groups(wanted, images)
        lacking = {group: n for group, n in have.items() if n < needed[group]}
        label, value = next(iter(lacking))
        raise InputError(
            f"{where}: {images:,} images of each class with share {share:g} need "
            f"{needed[label, value]:,} of {label}, {value}; there are {_told(have)}; legal are "
            f"--images {least} to {most}"
        )
    return images


def _most_exact(wanted: Correlation, least: int, most: int) -> int:
    """Return the most images whose share is whole and whose rest parts equally, else the most."""
    unit, others = wanted.share.denominator, len(wanted.values) - 1
    for images in range(most - most % unit, least - 1, -unit)[:others]:
        if (images - int(wanted.share * images)) % others == 0:
            return images
    return most


def _balanced(have: Groups, where: str) -> dict[tuple[str, str], int]:
    least = min(have.values())
    if least == 0:
        label, value = next(group for group, count in have.items() if count == 0)
        raise InputError(
            f"{where}: no image of {label}, {value}; a balanced split needs one of every group, "
            f"and there are {_told(have)}; choose other --pair CLASS=VALUE"
        )
    return dict.fromkeys(have, least)


def _told(have: Groups) -> str:
    """Tell the counts, the smallest first."""
    ordered = sorted(have.items(), key=lambda item: item[1])
    told = "; ".join(f"{label}, {value}: {count:,}" for (label, value), count in ordered[:TOLD])
    more = len(ordered) - TOLD
    return f"({told}{f'; and {more} larger groups' if more > 0 else ''})"


def _least(holds: Callable[[int], bool]) -> int:
    """Return the least number from 1 on that something holds for, if it holds for all above."""
    high = 1
    while not holds(high):
        high *= 2
    low = high // 2  # it does not hold there
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
