"""Markdown that says what it is given: names of classes and phrases are people's, and may hold anything."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["plain", "shortened", "table"]

LONGEST = 200
"""Characters of a name or phrase that are shown."""

ELLIPSIS = "…"


def plain(text: str, *, most: int = LONGEST) -> str:
    """Return a text in one line so that Markdown shows it as it is, cut where it is longer than `most`."""
    line = " ".join(text.split())
    line = line if len(line) <= most else line[: most - 1] + ELLIPSIS
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|~!$])", r"\\\1", line)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, most: int = 40) -> str:
    """Return a table, the first column as text and the rest as numbers; what is left out is counted.

    Parameters
    ----------
    columns : sequence of str
        Their titles.
    rows : sequence of sequence of str
        Cells, already `plain`.
    most : int
        Rows that are shown.
    """
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows[:most]]
    told = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    left_out = len(rows) - most
    return told if left_out <= 0 else f"{told}\n\nand {left_out:,} more rows"


def shortened(text: str, most: int, whole_in: str) -> str:
    """Return Markdown of so many characters at most, cut after a line, saying where it stands whole."""
    if len(text) <= most:
        return text
    ending = f"\n\n{ELLIPSIS} (whole in `{whole_in}`)"
    kept = text[: most - len(ending)]
    return kept[: max(kept.rfind("\n"), 0)].rstrip() + ending
