"""Which column of a table is what: by well-known names, and by whether its values are files."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import polars as pl

from clarify.errors import ManifestError, named, nearest, shown

__all__ = ["Chosen", "Columns", "guess_columns"]

WELL_KNOWN = {
    "path": (
        "path",
        "file",
        "filename",
        "file_name",
        "filepath",
        "file_path",
        "image",
        "image_path",
        "img",
        "img_path",
        "img_filename",
        "image_file",
        "image_filename",
    ),
    "label": ("label", "class", "class_name", "target", "y", "category", "species"),
    "split": ("split", "subset", "partition", "set"),
    "id": ("id", "image_id", "img_id", "uid"),
}
LOOKED_AT = 20  # values of a column that must all be files


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of a table's columns, as far as a person gave them."""

    path: str | None = None
    label: str | None = None
    split: str | None = None
    id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Names of a table's columns; split and id may be missing."""

    path: str
    label: str
    split: str | None = None
    id: str | None = None


def guess_columns(
    table: pl.DataFrame, where: Path, given: Columns, root: Path | None
) -> tuple[Chosen, dict[str, str]]:
    """Fill in the columns that were not given.

    Parameters
    ----------
    where : Path
        Its file, for messages, and for paths that are relative to its folder.
    root : Path, optional
        Folder that paths are relative to.

    Returns
    -------
    Chosen
        Split and id as far as a column has a well-known name.
    dict of str to str
        What was guessed: ``{"path column": "img (its values are files)"}``.

    Raises
    ------
    ManifestError
        If a column that was given is not there, or the one meant is not clear.
    """
    taken = {role: name for role in WELL_KNOWN if (name := getattr(given, role)) is not None}
    for role, name in taken.items():
        if name not in table.columns:
            raise ManifestError(
                f"table {where} has no column {shown(name)} for --{role}; {nearest(name, table.columns)}"
            )
    guesses: dict[str, str] = {}
    if "path" not in taken:
        taken["path"], why = _path_column(table, where, root or where.parent, set(taken.values()))
        guesses["path column"] = f"{taken['path']} ({why})"
    for role in ("label", "split", "id"):
        if role not in taken and (name := _by_name(table, where, role, set(taken.values()))):
            if role == "id" and not _all_differ(table[name]):
                guesses["id"] = f"the path ({name} has gaps or is not different in every row)"
                continue
            taken[role] = name
            guesses[f"{role} column"] = f"{name} (by its name)"
    if "id" not in taken:
        guesses.setdefault("id", "the path")
    return Chosen(**taken), guesses


def _all_differ(column: pl.Series) -> bool:
    return column.null_count() == 0 and column.n_unique() == column.len()


def _candidates(table: pl.DataFrame, role: str, taken: set[str]) -> list[str]:
    return [name for name in table.columns if name.lower() in WELL_KNOWN[role] and name not in taken]


def _by_name(table: pl.DataFrame, where: Path, role: str, taken: set[str]) -> str | None:
    names = _candidates(table, role, taken)
    if len(names) > 1:
        raise ManifestError(
            f"table {where}: the column of the {role} may be {named(names)}; say which: --{role} COLUMN"
        )
    if not names and role == "label":
        raise ManifestError(
            f"table {where}: no column is called {', '.join(WELL_KNOWN['label'][:4])} or the like; "
            f"say which holds the label: --label COLUMN, one of {named(table.columns)}"
        )
    return names[0] if names else None


def _path_column(table: pl.DataFrame, where: Path, root: Path, taken: set[str]) -> tuple[str, str]:
    files = [name for name in table.columns if name not in taken and _are_files(table[name], root)]
    known = _candidates(table, "path", taken)
    both = [name for name in files if name in known]
    for names, why in (
        (files, "its values are files"),
        (both, "by its name, and its values are files"),
        (known if not files else [], "by its name"),
    ):
        if len(names) == 1:
            return names[0], why
    if files or known:
        raise ManifestError(
            f"table {where}: the column of the path may be {named(files or known)}; say which: --path COLUMN"
        )
    raise ManifestError(
        f"table {where}: no column holds files of {root}; say which is the path: --path COLUMN, "
        f"one of {named(table.columns)}, and --root FOLDER if the files are elsewhere"
    )


def _are_files(column: pl.Series, root: Path) -> bool:
    if column.dtype != pl.String:
        return False
    values = column.drop_nulls().head(LOOKED_AT).to_list()
    return bool(values) and all(
        value and "\x00" not in value and os.path.isfile(root / value) for value in values
    )
