"""Predictions of a model that Clarify did not train: read from a table, every row checked."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from clarify.data.reading import as_text, read_typed_table, whole_numbers
from clarify.errors import ManifestError, nearest, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "ID_COLUMNS",
    "PREDICTED_COLUMNS",
    "Predictions",
    "read_predictions",
    "refuse_rows",
    "which_column",
]

ID_COLUMNS = ("id", "image_id", "path", "image", "filename", "file")
PREDICTED_COLUMNS = ("predicted", "prediction", "predicted_label", "pred", "y_pred")
PREFIXES = ("", "p_", "prob_", "probability_")
TOLERANCE = 1e-3
"""How far a row of probabilities may be from adding up to 1: files are written with few digits."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """What a model said of some images.

    Parameters
    ----------
    ids : tuple of N str
        Ids or paths, each once.
    predicted : (N,) int64
        Class numbers.
    probabilities : (N, K) float64, or None
        Where the table has one column a class.
    columns : mapping of str to str
        What was taken for ``id`` and ``predicted``.
    """

    ids: tuple[str, ...]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None
    columns: dict[str, str]


def read_predictions(
    path: Path, classes: Sequence[str], *, id_column: str | None = None, predicted_column: str | None = None
) -> Predictions:
    """Read predictions.

    Parameters
    ----------
    path : Path
        A .csv, .tsv, .parquet or .jsonl with a column of ids (or paths), one of predicted classes,
        by name or by number from 0, and, optionally, one column of probabilities for each class,
        named as the class, ``p_CLASS``, ``prob_CLASS`` or ``probability_CLASS``.
    classes : sequence of K str
    id_column, predicted_column : str, optional
        The columns' names, where they are not among `ID_COLUMNS` and `PREDICTED_COLUMNS`.

    Raises
    ------
    ManifestError
        If a column is missing, or a row is not legal: the first such row is told.
    """
    table = read_typed_table(path)
    if table.height == 0:
        raise ManifestError(f"table {path} has no rows; it needs one for each image")
    id_column = which_column(path, table, ID_COLUMNS, id_column, "--id")
    predicted_column = which_column(path, table, PREDICTED_COLUMNS, predicted_column, "--predicted")
    return Predictions(
        ids=_ids(path, table, id_column),
        predicted=_predicted(path, table, predicted_column, tuple(classes)),
        probabilities=_probabilities(path, table, tuple(classes)),
        columns={"id": id_column, "predicted": predicted_column},
    )


def which_column(
    path: Path, table: pl.DataFrame, known: Sequence[str], asked: str | None = None, option: str = ""
) -> str:
    """Return the name of a column: the one that is asked for, or the first one known that is there.

    Raises
    ------
    ManifestError
        If there is none; `option` is what would name it.
    """
    if asked is not None:
        if asked not in table.columns:
            raise ManifestError(f"table {path} has no column {shown(asked)}; {nearest(asked, table.columns)}")
        return asked
    found = [name for name in known if name in table.columns]
    if not found:
        raise ManifestError(
            f"table {path} has the columns {shown(', '.join(table.columns), most=200)}; none of "
            f"them is {', '.join(known)}: "
            + (f"name the one with {option}" if option else "call one of them so")
        )
    return found[0]


def _ids(path: Path, table: pl.DataFrame, name: str) -> tuple[str, ...]:
    column = as_text(table, name, path)
    empty = (column.is_null() | (column.str.strip_chars() == "")).fill_null(True)
    refuse_rows(path, empty, f"{name} is empty; each row needs one")
    twice = ~column.is_first_distinct()
    value = column[twice.arg_max() or 0]
    refuse_rows(path, twice, f"{name} {shown(value)} was already given; each image may stand once")
    return tuple(column)


def _predicted(path: Path, table: pl.DataFrame, name: str, classes: tuple[str, ...]) -> NDArray[np.int64]:
    column = as_text(table, name, path).str.normalize("NFC")
    by_name = {unicodedata.normalize("NFC", each): number for number, each in enumerate(classes)}
    by_number = {str(number): number for number in range(len(classes))}
    legal = by_name if set(column) & set(by_name) else by_number
    column = column if legal is by_name else whole_numbers(column)
    unknown = ~column.is_in(list(legal)).fill_null(False)
    value = column[unknown.arg_max() or 0]
    refuse_rows(path, unknown, f"{name} {shown(value)} is no class; {nearest(str(value), classes)}")
    return np.array([legal[each] for each in column], dtype=np.int64)


def _probabilities(path: Path, table: pl.DataFrame, classes: tuple[str, ...]) -> NDArray[np.float64] | None:
    columns = {unicodedata.normalize("NFC", name): name for name in table.columns}
    composed = {each: unicodedata.normalize("NFC", each) for each in classes}
    names = {
        each: next((columns[p + name] for p in PREFIXES if p + name in columns), None)
        for each, name in composed.items()
    }
    there = [name for name in names.values() if name is not None]
    if not there:
        return None
    missing = [each for each, name in names.items() if name is None]
    if missing:
        raise ManifestError(
            f"table {path} has probabilities of {len(there)} of {len(classes)} classes, none of "
            f"{shown(missing[0])}; give a column for each class, or for none"
        )
    found = np.column_stack([_numbers(path, table, name) for name in there])
    outside = pl.Series(~((found >= -TOLERANCE) & (found <= 1 + TOLERANCE)).all(axis=1))
    refuse_rows(path, outside, "a probability is not between 0 and 1")
    sums = found.sum(axis=1)
    off = pl.Series(np.abs(sums - 1) > TOLERANCE)
    total = sums[off.arg_max() or 0]
    refuse_rows(path, off, f"the probabilities add up to {total:.4f}; 1 is legal")
    return found


def _numbers(path: Path, table: pl.DataFrame, name: str) -> NDArray[np.float64]:
    column = table[name]
    if column.dtype == pl.String or column.dtype.is_numeric():
        numbers = column.cast(pl.Float64, strict=False)
    else:
        numbers = pl.Series([None] * len(column), dtype=pl.Float64)
    wrong = numbers.is_null() | ~numbers.is_finite().fill_null(False)
    value = column[wrong.arg_max() or 0]
    refuse_rows(path, wrong, f"{name} is {shown(value)}; a number between 0 and 1 is legal")
    return numbers.to_numpy()


def refuse_rows(path: Path, wrong: pl.Series, text: str) -> None:
    """Refuse the table if any row is wrong; `text` is about the first such row."""
    row = wrong.arg_max()
    if row is None or not wrong.any():
        return
    more = f" (and {wrong.sum() - 1} more such rows)" if wrong.sum() > 1 else ""
    raise ManifestError(f"table {path} row {row + 1}: {text}{more}")
