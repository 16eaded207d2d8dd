"""No text of a table becomes a formula in a spreadsheet, and nothing else changes."""

from __future__ import annotations

import polars as pl

from clarify.data.spreadsheets import for_spreadsheets


def test_what_begins_like_a_formula_is_marked_and_the_rest_stays() -> None:
    texts = ["=1+1", "+2", "-3", "@SUM(A1)", "\tx", "\rx", "a=b", "'=1", "", None, "water"]
    table = pl.DataFrame({"id": texts, "=cmd": [-1.5] * len(texts), "right": [True] * len(texts)})
    found = for_spreadsheets(table)
    assert found["id"].to_list() == [
        "'=1+1",
        "'+2",
        "'-3",
        "'@SUM(A1)",
        "'\tx",
        "'\rx",
        "a=b",
        "'=1",
        "",
        None,
        "water",
    ]
    assert found.columns == ["id", "'=cmd", "right"]
    assert found["'=cmd"].to_list() == table["=cmd"].to_list()
    assert for_spreadsheets(table.select("right")).equals(table.select("right"))
