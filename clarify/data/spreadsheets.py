"""Tables that people open in a spreadsheet, in which no text may become a formula."""

from __future__ import annotations

import re

import polars as pl

__all__ = ["for_spreadsheets"]

FORMULA = r"^([=+\-@\t\r])"


def for_spreadsheets(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table of which a spreadsheet takes no text for a formula: that gets a ``'`` before it.

    Whatever begins with ``= + - @``, a tab or a carriage return, in cells and in names of columns.
    """
    marked = pl.col(pl.String).str.replace(FORMULA, "'${1}")
    return table.with_columns(marked).rename(
        {name: f"'{name}" for name in table.columns if re.match(FORMULA, name)}
    )
