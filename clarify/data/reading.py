"""Reading tables from files: CSV, TSV, Parquet, JSON lines; whatever is in them, one clear line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl
import polars.selectors as cs

from clarify.data.sizes import refusal
from clarify.errors import ManifestError, nearest, shown

__all__ = ["as_text", "read_table", "read_typed_table", "whole_numbers"]

TABLE_ENDINGS = (".csv", ".parquet")
MOST_CHARACTERS = 10_000
# How a text file in UTF-16 or UTF-32 begins; polars would only say that it is no UTF-8.
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
SEPARATORS = {".csv": b",", ".tsv": b"\t"}
PLAIN = (pl.String, pl.Categorical, pl.Enum, pl.Boolean)


READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": partial(pl.read_csv, infer_schema=False),
    ".tsv": partial(pl.read_csv, infer_schema=False, separator="\t"),
    ".parquet": pl.read_parquet,
    ".jsonl": partial(pl.read_ndjson, infer_schema_length=None),
}


def read_table(path: Path) -> pl.DataFrame:
    """Read a CSV or Parquet file with every column as text.

    Parameters
    ----------
    path : Path
        Ends in ``.csv`` or ``.parquet``. Whole numbers in a Parquet file become their digits.

    Returns
    -------
    DataFrame
        Columns of strings, rows in the file's order.

    Raises
    ------
    ManifestError
        If the file is absent, unreadable, or of another kind.
    """
    table = _read(path, TABLE_ENDINGS)
    for name, kind in table.schema.items():
        if not (kind.is_integer() or kind in (pl.String, pl.Categorical) or kind == pl.Enum):
            raise ManifestError(
                f"table {path}: column {name!r} is of type {kind}; legal are text and whole numbers"
            )
    return table.with_columns(pl.all().cast(pl.String))


def read_typed_table(path: Path) -> pl.DataFrame:
    """Read a table with the types that its file has, without blanks around text; CSV and TSV have text alone.

    Parameters
    ----------
    path : Path
        Ends in ``.csv``, ``.tsv``, ``.parquet`` or ``.jsonl``.

    Raises
    ------
    ManifestError
        If the file is absent, unreadable, of another kind, or a cell has over 10,000 characters.
    """
    # Not in `read_table`: what a manifest says is hashed, and stays as it is.
    text = cs.by_dtype(pl.String, pl.Categorical, pl.Enum)
    return _read(path, tuple(READERS)).with_columns(text.cast(pl.String).str.strip_chars())


def _read(path: Path, endings: tuple[str, ...]) -> pl.DataFrame:
    if path.suffix.lower() not in endings:
        legal = " and ".join([", ".join(endings[:-1]), endings[-1]])
        raise ManifestError(f"table {path.name}: legal endings are {legal}")
    if not path.is_file():
        raise ManifestError(f"table {path} does not exist; put it there, or name another file")
    kind = path.suffix.lower()
    if why := refusal(path):
        raise ManifestError(f"table {path} is not read: {why}; give a smaller one")
    try:
        if kind != ".parquet":
            _check_encoding(path, kind)
        table = READERS[kind](path)
    except ManifestError:
        raise
    # Polars answers some broken files with a panic, which Python does not count as an Exception.
    except (Exception, pl.exceptions.PanicException) as error:
        cause = (kind != ".parquet" and _not_utf8(path)) or _cause(error)
        raise ManifestError(f"table {path} cannot be read as {kind[1:]}: {cause}") from None
    table = _with_trimmed_header(table, path)
    _check_cells(table, path)
    return table


def _with_trimmed_header(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Take the blanks off that people write after a comma."""
    names = [name.strip() for name in table.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ManifestError(
            f"table {path}: several columns are called {shown(twice)} but for blanks; rename or remove one"
        )
    table.columns = names
    return table


def _cause(error: BaseException) -> str:
    """Return what a reader says is wrong, without its advice on its own options."""
    text = " ".join(str(error).split())
    for advice in (" Consider ", " The current offset ", " You might "):
        text = text.partition(advice)[0]
    if 'could not parse `"' in text:
        text += "; is a quote left open?"
    return text[:300] or type(error).__name__


def _not_utf8(path: Path) -> str:
    """Say which line of a text is not UTF-8, and how it may be meant; empty if all are."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                word = line[max(0, error.start - 12) : error.start + 12].decode("cp1252", "replace").strip()
                return (
                    f"line {number} is not UTF-8 from its byte {error.start + 1} on, perhaps Latin-1 (then "
                    f"it says {shown(word)}); save it as UTF-8"
                )
    return ""


def _check_separator(path: Path, kind: str, first: bytes) -> None:
    header, own = first.partition(b"\n")[0], SEPARATORS.get(kind, b"")
    others = [each for each in ";\t|," if each.encode() in header]
    if own and own not in header and others:
        raise ManifestError(
            f"table {path} has the header {shown(header.decode(errors='replace').strip())}, parted by "
            f"{others[0]!r}; a {kind} is parted by {own.decode()!r}: save it so"
            + (", or call it .tsv" if others[0] == "\t" else "")
        )


def _check_encoding(path: Path, kind: str) -> None:
    with open(path, "rb") as file:
        first = file.read(4096)
    for mark, encoding in MARKS.items():
        if first.startswith(mark):
            raise ManifestError(
                f"table {path} cannot be read as {kind[1:]}: it is {encoding}; save it as UTF-8"
            )
    if b"\x00" in first:
        raise ManifestError(
            f"table {path} cannot be read as {kind[1:]}: it has NUL bytes, so it is no text in "
            "UTF-8; save it as such"
        )
    _check_separator(path, kind, first)


def _check_cells(table: pl.DataFrame, path: Path) -> None:
    for name, kind in table.schema.items():
        if not name.isprintable() or len(name) > 100:
            raise ManifestError(
                f"table {path}: a column is called {shown(name)}; legal are 1 to 100 printable "
                "characters: is the first row the header?"
            )
        if kind == pl.String:
            lengths = table[name].str.len_bytes()
            row = lengths.arg_max()
            if row is not None and (longest := lengths[row]) > MOST_CHARACTERS:
                raise ManifestError(
                    f"table {path} row {row + 1}: {name} has {longest:,} bytes; legal are at most "
                    f"{MOST_CHARACTERS:,}: is a quote left open?"
                )


def whole_numbers(column: pl.Series) -> pl.Series:
    """Return a column of text in which 1.0, as pandas writes whole numbers with gaps, is 1."""
    return column.str.replace(r"^(\d+)\.0+$", "${1}")


def as_text(table: pl.DataFrame, name: str, path: Path) -> pl.Series:
    """Return a column as text; whole numbers become their digits, truth becomes true and false.

    Raises
    ------
    ManifestError
        If there is no such column, or its type has no one text.
    """
    if name not in table.columns:
        raise ManifestError(f"table {path} has no column {shown(name)}; {nearest(name, table.columns)}")
    column, kind = table[name], table.schema[name]
    if kind.is_float():  # whole numbers with gaps, as pandas writes them
        whole = column.cast(pl.Int64, strict=False)
        if not (column.fill_null(0) == whole.cast(pl.Float64).fill_null(0)).all():
            raise ManifestError(
                f"table {path}: column {name!r} has numbers that are not whole; legal are text "
                "and whole numbers"
            )
        column = whole
    elif not (kind.is_integer() or kind in PLAIN):
        raise ManifestError(
            f"table {path}: column {name!r} is of type {kind}; legal are text and whole numbers"
        )
    return column.cast(pl.String)
