"""The table of images of a data set: checking every row, hashing it.

Everything is done in columns, so that a million rows cost seconds and not minutes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping

import polars as pl

from clarify.errors import ManifestError, few, named, nearest, shown

__all__ = ["BASE_COLUMNS", "CONTENT", "base_columns", "check_table", "table_digest"]

BASE_COLUMNS = ("id", "path", "label", "split")
# Optional: the first 32 digits of the SHA-256 of each file's bytes. A table without it has the
# digest that it had before this column was thought of.
CONTENT = "content"
CONTENT_FORM = r"^[0-9a-f]{32}$"
NEEDS_EVERY_CLASS = ("train", "validation", "test")
# A component that is empty, "." or ".." — which also finds a leading and a doubled slash.
UNSAFE_PATH = r"(^|/)\.{0,2}(/|$)|\\"
CONTROL = r"\p{C}"
HASHED_AT_ONCE = 100_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    row: int  # 1 is the first row of data
    count: int
    text: str


def base_columns(table: pl.DataFrame) -> tuple[str, ...]:
    """Return the columns of a table that are no attributes: with `content`, if it has that."""
    return (*BASE_COLUMNS, CONTENT) if CONTENT in table.columns else BASE_COLUMNS


def check_table(
    table: pl.DataFrame,
    *,
    classes: tuple[str, ...],
    splits: tuple[str, ...],
    attributes: Mapping[str, tuple[str, ...]],
) -> None:
    """Check every row; the message tells the first problem and how many more there are.

    Parameters
    ----------
    table : DataFrame
        Columns of strings.
    classes, splits : tuple of str
        Legal labels and splits. Every class needs an image in train, validation and test, as
        far as these are among the splits.
    attributes : mapping of str to tuple of str
        Legal values of each further column.

    Raises
    ------
    ManifestError
        If columns are missing or unknown, or any row is not legal.
    """
    _check_columns(table, attributes)
    if table.height == 0:
        raise ManifestError("the table has no rows; it needs one for each image")
    problems = [_empty(table, name) for name in table.columns]
    problems += [_control(table, name) for name in ("id", "path")]
    problems += [_repeated(table, name) for name in ("id", "path")]
    legal = {"label": classes, "split": splits, **attributes}
    problems += [_unknown(table, name, values) for name, values in legal.items()]
    problems.append(_leaving(table))
    if CONTENT in table.columns:
        problems.append(_no_content(table))
    found = [problem for problem in problems if problem is not None]
    if found:
        first = min(found, key=lambda problem: problem.row)
        more = sum(problem.count for problem in found) - 1
        tail = f" (and {more} more problems in the table)" if more else ""
        raise ManifestError(f"table row {first.row}: {first.text}{tail}")
    _check_classes_of_splits(table, classes, splits)


def _check_columns(table: pl.DataFrame, attributes: Mapping[str, tuple[str, ...]]) -> None:
    wanted = [*BASE_COLUMNS, *attributes]
    for name in wanted:
        if name not in table.columns:
            raise ManifestError(
                f"the table has no column {name!r}; it has {named(table.columns) or 'none'}, "
                f"and needs {named(wanted)}"
            )
    for name in table.columns:
        if name not in wanted and name != CONTENT:
            raise ManifestError(
                f"the table has a column {shown(name)} that is no attribute of the TOML; "
                f"{nearest(name, wanted)}"
            )


def _problem(mask: pl.Series, text: str) -> _Problem | None:
    """Describe the rows of `mask`, if there are any."""
    found = mask.arg_true()
    return _Problem(row=int(found[0]) + 1, count=found.len(), text=text) if found.len() else None


def _first(table: pl.DataFrame, mask: pl.Series, name: str) -> str:
    row = mask.arg_max()
    return str(table[name][row]) if row is not None else ""


def _empty(table: pl.DataFrame, name: str) -> _Problem | None:
    column = table[name]
    mask = column.is_null() | (column.str.strip_chars() == "").fill_null(True)
    return _problem(mask, f"{name} is empty; each row needs one")


def _control(table: pl.DataFrame, name: str) -> _Problem | None:
    mask = table[name].str.contains(CONTROL).fill_null(False)
    return _problem(mask, f"{name} {shown(_first(table, mask, name))} has a control character; remove it")


def _repeated(table: pl.DataFrame, name: str) -> _Problem | None:
    column = table[name]
    mask = ~column.is_first_distinct() & column.is_not_null()
    if not mask.any():
        return None
    value = _first(table, mask, name)
    earlier = (column == value).arg_max()
    return _problem(mask, f"{name} {shown(value)} was already given in row {(earlier or 0) + 1}")


def _unknown(table: pl.DataFrame, name: str, legal: tuple[str, ...]) -> _Problem | None:
    column = table[name]
    mask = ~column.is_in(list(legal)) & column.is_not_null()
    if not mask.any():
        return None
    value = _first(table, mask, name)
    return _problem(mask, f"unknown {name} {shown(value)}; {nearest(value, legal)}")


def _leaving(table: pl.DataFrame) -> _Problem | None:
    mask = table["path"].str.contains(UNSAFE_PATH).fill_null(False)
    mask &= (table["path"] != "").fill_null(False)
    value = shown(_first(table, mask, "path"))
    return _problem(mask, f"path {value} is not inside the root; legal is folder/file, without . or ..")


def _no_content(table: pl.DataFrame) -> _Problem | None:
    mask = ~table[CONTENT].str.contains(CONTENT_FORM).fill_null(True)
    value = shown(_first(table, mask, CONTENT))
    return _problem(
        mask,
        f"content {value} is no hash; legal are the first 32 hexadecimal digits, in "
        "small letters, of the file's SHA-256, or no such column",
    )


def _check_classes_of_splits(table: pl.DataFrame, classes: tuple[str, ...], splits: tuple[str, ...]) -> None:
    present = set(table.select("split", "label").unique().iter_rows())
    told = []
    for split in (each for each in NEEDS_EVERY_CLASS if each in splits):
        absent = [label for label in classes if (split, label) not in present]
        if len(absent) == 1:
            told.append(f"class {absent[0]!r} has no image in split {split!r}")
        elif absent:
            told.append(f"{len(absent):,} classes have no image in split {split!r} ({few(absent)})")
    if told:
        raise ManifestError(
            f"{'; '.join(told)}; every class needs at least one there: add some, or import the data set "
            "without such classes (--leave-out-rare)"
        )


def table_digest(
    table: pl.DataFrame,
    *,
    name: str,
    classes: tuple[str, ...],
    splits: tuple[str, ...],
    attributes: Mapping[str, tuple[str, ...]],
) -> str:
    """Hash what a data set says, whatever the file's format and the order of its rows.

    Parameters
    ----------
    table : DataFrame
        A table that `check_table` has passed.
    name, classes, splits, attributes
        Of the data set. The order of the classes counts, the order of the attributes does not.

    Returns
    -------
    str
        64 hexadecimal digits (SHA-256).
    """
    names = sorted(attributes)
    head = {
        "name": name,
        "classes": classes,
        "splits": splits,
        "attributes": [[key, attributes[key]] for key in names],
    }
    columns = [*base_columns(table), *names]
    digest = hashlib.sha256(json.dumps(head, ensure_ascii=True).encode())
    # No cell holds a control character, so these separators cannot be forged.
    for part in table.select(columns).sort("id").iter_slices(HASHED_AT_ONCE):
        rows = part.select(pl.concat_str(columns, separator="\x1f")).to_series()
        digest.update(b"\x1e" + "\x1e".join(rows.to_list()).encode())
    return digest.hexdigest()
