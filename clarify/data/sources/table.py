"""A table of images with columns of any names: CSV, TSV, Parquet or JSON lines."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from clarify.data.reading import as_text, read_typed_table, whole_numbers
from clarify.data.sources.columns import Columns, guess_columns
from clarify.data.sources.listing import (
    NUMBERED_SPLITS,
    SPLIT_NAMES,
    Listing,
    check_left_out,
    in_order,
    translated,
)
from clarify.data.sources.places import check_places, relative_paths
from clarify.errors import ManifestError, shown

__all__ = ["TableOptions", "list_table"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """What a person says of a table; what is not said is guessed, or refused if it is unclear.

    Parameters
    ----------
    columns : Columns
        Columns of path, label, split and id.
    attributes : tuple of str
        Columns of annotated attributes.
    root : Path, optional
        Folder that the paths are relative to; else the table's own.
    split_values : mapping of split to str
        How the column of splits calls train, validation and test.
    classes : tuple of str, optional
        Names for labels that are whole numbers from 0.
    leave_out : tuple of str
        Classes, and splits as the table calls them, whose images are left out.
    """

    columns: Columns = dataclasses.field(default_factory=Columns)
    attributes: tuple[str, ...] = ()
    root: Path | None = None
    split_values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    leave_out: tuple[str, ...] = ()


def list_table(path: Path, options: TableOptions) -> Listing:
    """List the images of a table.

    Parameters
    ----------
    path : Path
        Ends in ``.csv``, ``.tsv``, ``.parquet`` or ``.jsonl``.

    Returns
    -------
    Listing
        With splits if a column gives them. Labels are kept as text unless classes are named.

    Raises
    ------
    ManifestError
        If the table cannot be read, a column is not clear or not there, a value is not legal, or
        files are absent.
    """
    path = Path(os.path.abspath(path))
    table = read_typed_table(path)
    if table.height == 0:
        raise ManifestError(f"table {path} has no rows; it needs one for each image")
    columns, guesses = guess_columns(table, path, options.columns, options.root)
    given = as_text(table, columns.path, path)
    root, paths = relative_paths(given, path, options.root)
    if options.root is None and root != path.parent:
        guesses["root"] = f"{root}, which all paths begin with"
    found = check_places(root, paths, path)
    label, classes = _labels(as_text(table, columns.label, path).str.normalize("NFC"), path, options.classes)
    made: dict[str, pl.Series] = {"path": found, "label": label}
    calls = None if columns.split is None else as_text(table, columns.split, path)
    there = set(classes) if calls is None else {*classes, *calls.drop_nulls()}
    check_left_out(options.leave_out, there, path)
    kept = ~label.is_in(options.leave_out)
    if columns.id is not None:
        made["id"] = as_text(table, columns.id, path)
    if columns.split is not None and calls is not None:
        kept &= ~calls.is_in(options.leave_out).fill_null(False)
        made["split"] = _splits(calls, columns.split, path, options.split_values, kept)
    for name in options.attributes:
        made[name] = as_text(table, name, path).fill_null("")
    frame = pl.DataFrame([column.alias(name) for name, column in made.items()]).filter(kept)
    left_out = (f"left out: {kept.len() - frame.height:,} images",) if options.leave_out else ()
    return Listing(
        root=root,
        classes=tuple(name for name in classes if name not in options.leave_out),
        table=frame,
        attributes={name: in_order(frame[name]) for name in options.attributes},
        guesses=guesses,
        notes=left_out + _respelt(int((found != paths).sum())),
    )


def _respelt(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    return (f"paths in other Unicode letters than on the disk, whose spelling is taken: {count:,}",)


def _labels(
    column: pl.Series, path: Path, classes: tuple[str, ...] | None
) -> tuple[pl.Series, tuple[str, ...]]:
    """Return the labels as names of classes, and the classes in their order."""
    empty = (column.is_null() | (column == "")).arg_true()
    if empty.len():
        raise ManifestError(f"table {path} row {empty[0] + 1}: label is empty; each row needs one")
    if classes is None:
        return column, in_order(column)
    numbers = {str(number): name for number, name in enumerate(classes)}
    legal = f"with {len(classes)} classes named are 0 to {len(classes) - 1}"
    return translated(whole_numbers(column).alias("label"), numbers, path, legal=legal), classes


def _splits(
    column: pl.Series, name: str, path: Path, values: Mapping[str, str], kept: pl.Series
) -> pl.Series:
    """Translate what a table calls its splits, but for those that are left out."""
    said = {value: split for split, value in values.items()}
    known = said or {**SPLIT_NAMES, **NUMBERED_SPLITS}
    compared = column if said else whole_numbers(column.str.to_lowercase().str.strip_chars())
    unknown = (kept & ~compared.is_in(list(known)).fill_null(False)).arg_true()
    if unknown.len():
        raise ManifestError(
            f"table {path} row {unknown[0] + 1}: column {name!r} has "
            f"{shown(column[unknown[0]])}, which is no split; legal are {', '.join(known)}; "
            "give --train VALUE --validation VALUE --test VALUE for other names, or --leave-out VALUE"
        )
    return compared.replace_strict(known, default=None, return_dtype=pl.String)
