"""What an importer found: images with their labels, and perhaps their splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from clarify.errors import ManifestError, nearest, shown

__all__ = ["NUMBERED_SPLITS", "SPLIT_NAMES", "Listing", "check_left_out", "in_order", "translated"]

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
"""What people call the splits, in small letters."""

NUMBERED_SPLITS = {"0": "train", "1": "validation", "2": "test"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The images of a data set, as an importer found them.

    Parameters
    ----------
    root : Path
        Absolute folder that paths are relative to.
    classes : tuple of str
        In the order that numbers the labels.
    attributes : mapping of str to tuple of str
        Legal values of each annotated attribute.
    table : DataFrame
        Text: ``path, label`` and the attributes; ``id`` if images have one (else the path is it);
        ``split`` if it is known; ``content`` once the files were hashed.
    guesses : mapping of str to str
        What was not given but concluded, for a person to check.
    notes : tuple of str
        What a person should know of the import, one line each.
    """

    root: Path
    classes: tuple[str, ...]
    table: pl.DataFrame
    attributes: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    guesses: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have images, in the usual order; none if they are not known."""
        if "split" not in self.table.columns:
            return ()
        found = set(self.table["split"].unique())
        return tuple(name for name in ("train", "validation", "test") if name in found)


def translated(column: pl.Series, meanings: Mapping[str, str], where: Path, *, legal: str = "") -> pl.Series:
    """Return what a named column's values mean, of the same name.

    Raises
    ------
    ManifestError
        For a value without a meaning: tells the row, and that `legal` is, by default the values
        with their meanings.
    """
    unknown = unknown_rows(column, meanings)
    if unknown.len():
        row = unknown[0]
        legal = legal or "are " + ", ".join(f"{key} ({meaning})" for key, meaning in meanings.items())
        raise ManifestError(
            f"table {where} row {row + 1}: {column.name} is {shown(column[row])}; legal {legal}"
        )
    return column.replace_strict(dict(meanings), return_dtype=pl.String)


def unknown_rows(column: pl.Series, known: Iterable[str]) -> pl.Series:
    """Return the row numbers, from 0, of values that are none of the known."""
    return (~column.is_in(list(known)).fill_null(False)).arg_true()


def check_left_out(names: Iterable[str], there: Iterable[str], where: Path) -> None:
    """Raise ManifestError if something is to be left out that is not there."""
    known = set(there)
    for name in names:
        if name not in known:
            near = nearest(name, sorted(known))
            raise ManifestError(f"{where} has no class and no split {shown(name)} to leave out; {near}")


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort different names: whole numbers by value, else as text."""
    different = set(names)
    if all(name.isascii() and name.isdigit() for name in different):
        return tuple(sorted(different, key=lambda name: (int(name), name)))
    return tuple(sorted(different))
