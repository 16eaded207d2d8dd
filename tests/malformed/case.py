"""One malformed input: how to make it, the command that meets it, the line expected."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ["Case"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A malformed input.

    Parameters
    ----------
    name : str
        A sentence fragment, unique in its file: ``"a bundle cut in half"``.
    make : callable
        Takes a home of its own with the data set of `tests.conftest` in it, and an empty folder
        outside the home; puts the malformed thing into either and returns the command.
    expected : str
        Regular expression, searched in the one line of refusal.
    changes : bool
        Whether the command may leave something in the home: a finding that a check reports is
        kept by nothing, but a store that was opened is.
    answers : bool
        Whether the command prints its findings on stdout before it is refused, as a check does.
    """

    name: str
    make: Callable[[Path, Path], Sequence[str]]
    expected: str
    changes: bool = False
    answers: bool = False
