"""Predictions of a model that Clarify did not train: read from a table, every row checked."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from clarify.data.reading import as_text, read_typed_table
from clarify.errors import ManifestError, named, nearest, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "ID_COLUMNS",
    "PREDICTED_COLUMNS",
    "READINGS",
    "Predictions",
    "read_predictions",
    "refuse_rows",
    "which_column",
]

ID_COLUMNS = ("id", "image_id", "path", "image", "filename", "file")
PREDICTED_COLUMNS = ("predicted", "prediction", "predicted_label", "pred", "y_pred")
PREFIXES = ("", "p_", "prob_", "probability_")
READINGS = ("names", "positions")
"""What a whole number may be: the name of a class, or a class's position from 0."""
FRACTION = re.compile(r"(?<=\d)\.0*$")
"""Of whole numbers that were written as others, ``7.0``."""
WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
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
        What was taken for ``id`` and ``predicted``, and for ``probabilities`` if there are any.
    reading : str
        Which of `READINGS` the predicted classes were read by.
    notes : tuple of str
        What a person should know of the table, one line each.
    """

    ids: tuple[str, ...]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None
    columns: dict[str, str]
    reading: str
    notes: tuple[str, ...] = ()


def read_predictions(
    path: Path,
    classes: Sequence[str],
    *,
    id_column: str | None = None,
    predicted_column: str | None = None,
    numbers: str | None = None,
) -> Predictions:
    """Read predictions.

    Parameters
    ----------
    path : Path
        A .csv, .tsv, .parquet or .jsonl with a column of ids (or paths), one of predicted classes,
        all by name or all by position from 0, and, optionally, one column of probabilities for each
        class, named as the class or its position, alone or after ``p_``, ``prob_`` or
        ``probability_``. Of names that are whole numbers the value counts: ``1`` and ``1.0`` are
        class ``001``.
    classes : sequence of K str
    id_column, predicted_column : str, optional
        The columns' names, where they are not among `ID_COLUMNS` and `PREDICTED_COLUMNS`.
    numbers : {"names", "positions"}, optional
        How to read numbers that stand for classes. By default, as they fit.

    Raises
    ------
    ManifestError
        If a column is missing, or a row is not legal: the first such row is told. If numbers fit as
        names and as positions, and mean other classes. If the predicted class is the likeliest one in
        no row.
    """
    table = read_typed_table(path)
    if table.height == 0:
        raise ManifestError(f"table {path} has no rows; it needs one for each image")
    id_column = which_column(path, table, ID_COLUMNS, id_column, "--id")
    predicted_column = which_column(path, table, PREDICTED_COLUMNS, predicted_column, "--predicted")
    ids = _ids(path, table, id_column)
    predicted, readings = _predicted(path, table, predicted_column, tuple(classes), numbers)
    rest = [name for name in table.columns if name not in (id_column, predicted_column)]
    named_so = _probability_columns(path, rest, tuple(classes), readings)
    columns, notes = {"id": id_column, "predicted": predicted_column}, []
    probabilities = None
    if named_so:
        probabilities = _probabilities(path, table, named_so)
        columns["probabilities"] = named(named_so)
        notes += _contradictions(path, predicted, probabilities, tuple(classes))
    if unread := [name for name in rest if name not in named_so]:
        notes.append(f"columns that were not read: {named(unread)}")
    return Predictions(
        ids=ids,
        predicted=predicted,
        probabilities=probabilities,
        columns=columns,
        reading=readings[0],
        notes=tuple(notes),
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
            f"table {path} has the columns {named(table.columns)}; none of "
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


def _predicted(
    path: Path, table: pl.DataFrame, name: str, classes: tuple[str, ...], numbers: str | None
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the class numbers, and of the `READINGS` those that give them."""
    column = as_text(table, name, path).str.normalize("NFC")
    texts = column.drop_nulls().unique().sort().to_list()
    meant = _meanings(texts, classes)
    fitting = [each for each in READINGS if len(meant[each]) == len(texts)]
    # Where none fits, what most of them are: the others are told.
    readings = [numbers] if numbers else fitting or sorted(READINGS, key=lambda each: -len(meant[each]))[:1]
    _check_one_meaning(path, name, meant, readings, classes)
    legal = meant[readings[0]]
    unknown = ~column.is_in(list(legal)).fill_null(False)
    value = column[unknown.arg_max() or 0]
    known = nearest(str(value), classes)
    if value is not None and _whole(value) is not None:
        known += f"; positions are 0 to {len(classes) - 1}"
    refuse_rows(path, unknown, f"{name} {shown(value)} is no class; {known}")
    return np.array([legal[each] for each in column], dtype=np.int64), readings


def _check_one_meaning(
    path: Path, what: str, meant: dict[str, dict[str, int]], readings: Sequence[str], classes: tuple[str, ...]
) -> None:
    """Refuse, and ask, if two readings give a text different classes."""
    if len(readings) < len(READINGS):
        return
    names, positions = (meant[each] for each in READINGS)
    for text in sorted(names.keys() & positions.keys()):
        by_name, by_position = shown(classes[names[text]]), shown(classes[positions[text]])
        if by_name != by_position:
            raise ManifestError(
                f"table {path}: {what} {shown(text)} is class {by_name} by name and class {by_position} by "
                "position from 0; say which is meant: --numbers names, or --numbers positions"
            )


def _meanings(texts: Iterable[str], classes: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Return, for each of `READINGS`, the class number of every text that has one."""
    wholes = {text: _whole(text) for text in texts}
    exact = {unicodedata.normalize("NFC", name): number for number, name in enumerate(classes)}
    values = [_whole(name) for name in classes]
    once = Counter(values)  # "1" and "01" may be two classes
    by_value: dict[int | None, int] = {
        value: n for n, value in enumerate(values) if value is not None and once[value] == 1
    }
    by_position = {str(number): number for number in range(len(classes))}  # "007" is no position

    def known(numbers: dict[str, int | None]) -> dict[str, int]:
        return {text: number for text, number in numbers.items() if number is not None}

    return {
        "names": known({text: exact.get(text, by_value.get(whole)) for text, whole in wholes.items()}),
        "positions": known({text: by_position.get(FRACTION.sub("", text)) for text in wholes}),
    }


def _whole(text: str) -> int | None:
    """Return the whole number that a text is, as ``7``, ``007`` or ``7.0``."""
    digits = FRACTION.sub("", text)
    return int(digits) if WHOLE.fullmatch(digits) else None


def _probability_columns(
    path: Path, columns: Sequence[str], classes: tuple[str, ...], readings: Sequence[str]
) -> tuple[str, ...]:
    """Return the column of each class; none where the table has no probabilities.

    Parameters
    ----------
    readings : sequence of str
        Of `READINGS` those that fit the predicted classes: preferred where columns fit both.
    """
    spelt = {unicodedata.normalize("NFC", name): name for name in columns}
    after = {
        name.removeprefix(p): spelt[name] for p in reversed(PREFIXES) for name in spelt if name.startswith(p)
    }
    meant = _meanings(after, classes)
    found = {each: {number: after[text] for text, number in meant[each].items()} for each in READINGS}
    most = max(len(each) for each in found.values())
    fitting = [each for each in READINGS if len(found[each]) == most]
    preferred = [each for each in fitting if each in readings] or fitting
    _check_one_meaning(path, "the column of", meant, preferred, classes)
    chosen = found[preferred[0]]
    missing = [name for number, name in enumerate(classes) if number not in chosen]
    if chosen and missing:
        raise ManifestError(
            f"table {path} has probabilities of {len(chosen)} of {len(classes)} classes, none of "
            f"{shown(missing[0])}; give a column for each class, or for none"
        )
    return tuple(chosen[number] for number in sorted(chosen))


def _contradictions(
    path: Path, predicted: NDArray[np.int64], found: NDArray[np.float64], classes: tuple[str, ...]
) -> list[str]:
    """Tell of rows whose likeliest class is not the predicted one: a cut may move some, a mistake all."""
    wrong = found[np.arange(len(found)), predicted] < found.max(axis=1) - TOLERANCE
    if not wrong.any():
        return []
    row = int(wrong.argmax())
    said, likeliest = shown(classes[predicted[row]]), shown(classes[found[row].argmax()])
    first = f"row {row + 1} predicts {said}, and {likeliest} has probability {found[row].max():.3g}"
    if wrong.all():
        raise ManifestError(
            f"table {path}: no row predicts its likeliest class: {first}; name each column of probabilities "
            "after its class, or leave them out"
        )
    return [f"{wrong.sum():,} of {len(wrong):,} rows do not predict their likeliest class: {first}"]


def _probabilities(path: Path, table: pl.DataFrame, columns: Sequence[str]) -> NDArray[np.float64]:
    found = np.column_stack([_numbers(path, table, name) for name in columns])
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
