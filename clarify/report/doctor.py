"""What `clarify doctor` found, for a person at a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clarify.workflow.home.doctor import Finding

__all__ = ["findings"]

WIDTH = 100
MARKS = {"ok": "ok", "note": "note", "wrong": "WRONG"}


def findings(found: Sequence[Finding]) -> str:
    """Return one aligned line each, the remedy below it, and how many are wrong."""
    names = min(30, max(len(each.what) for each in found))
    indent = " " * (names + 9)
    lines: list[str] = []
    for each in found:
        lines += textwrap.wrap(
            each.seen,
            WIDTH,
            initial_indent=f"{MARKS[each.state]:<5}  {each.what:<{names}}  ",
            subsequent_indent=indent,
            break_on_hyphens=False,
            break_long_words=False,
        )
        if each.remedy:
            lines += textwrap.wrap(
                each.remedy,
                WIDTH,
                initial_indent=f"{indent}> ",
                subsequent_indent=f"{indent}  ",
                break_on_hyphens=False,
                break_long_words=False,
            )
    wrong = sum(each.state == "wrong" for each in found)
    return "\n".join([*lines, f"{wrong} wrong" if wrong else "nothing is wrong"])
