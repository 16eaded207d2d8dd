"""Roll backs that are not legal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.conftest import DATA_SET
from tests.malformed.case import Case


def back(*arguments: str) -> Callable[[Path, Path], Sequence[str]]:
    return lambda home, outside: ["rollback", DATA_SET, *arguments]


CASES = [
    Case(
        name="a roll back where nothing was ever promoted",
        make=back(),
        expected=r"has no champion to roll back from; run: clarify promote",
        changes=True,
    ),
    Case(
        name="a roll back to a version that is no number, without a champion",
        make=back("--to", "<script>"),
        expected=r"has no champion to roll back from",
        changes=True,
    ),
    Case(
        name="a roll back of an unknown data set",
        make=lambda home, outside: ["rollback", "nobody"],
        expected=r"no data set 'nobody'",
    ),
    Case(
        name="the history of an unknown data set",
        make=lambda home, outside: ["history", "nobody"],
        expected=r"no data set 'nobody'",
    ),
]
