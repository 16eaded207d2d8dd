"""Cells: the combinations of having and not having the phrases of one class.

`clarify.method.groups.groups` is the public side of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cell", "anchors_of", "code_of", "codes_of", "distinct_terms", "names_of"]

Cell: TypeAlias = tuple[bool, ...]


def code_of(cell: Cell) -> int:
    """Return a cell's number, the first phrase being the highest bit."""
    return sum(int(having) << place for place, having in enumerate(reversed(cell)))


def codes_of(of_class: Sequence[tuple[str, NDArray[np.bool_]]], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each row's cell as a number (n_rows,), as `code_of`."""
    codes = np.zeros(len(rows), dtype=np.int64)
    for _, having in of_class:
        codes = 2 * codes + having[rows]
    return codes


def distinct_terms(phrases: Sequence[str]) -> list[str]:
    """Give repeated phrases a number: one phrase may be kept with two thresholds."""
    before = [phrases[:place].count(phrase) for place, phrase in enumerate(phrases)]
    return [
        f"{phrase} ({times + 1})" if times else phrase for phrase, times in zip(phrases, before, strict=True)
    ]


def anchors_of(n_terms: int, codes: NDArray[np.int64]) -> dict[Cell, int]:
    """Return for every combination the code of the cell it belongs to: its own, if an image has it.

    One that no image has belongs to the cell that differs in the fewest phrases, then to the larger one.
    """
    sizes = {code: int(size) for code, size in enumerate(np.bincount(codes)) if size} or {0: 0}

    def nearest(code: int) -> int:
        return min(sizes, key=lambda other: ((code ^ other).bit_count(), -sizes[other], other))

    return {_cell(code, n_terms): nearest(code) for code in range(2**n_terms)}


def _cell(code: int, n_terms: int) -> Cell:
    return tuple(bool(code >> place & 1) for place in reversed(range(n_terms)))


def names_of(
    name: str, terms: Sequence[str], anchors: Mapping[Cell, int], groups: Sequence[int]
) -> list[str]:
    """Name each group by what all of its cells share, or by its own cell where that is unclear.

    What no image parts ("with water" whether red or not) loses the phrase that does not part it; two
    groups must not end up with one name.
    """
    if len(groups) == 1:
        return [name]

    def named(cell: Cell, places: Sequence[int]) -> str:
        said = [f"{'with' if cell[place] else 'without'} {terms[place]}" for place in places]
        return f"{name} · {', '.join(said)}"

    every = range(len(terms))
    own = [_cell(group, len(terms)) for group in groups]
    shared = [
        [p for p in every if len({cell[p] for cell, anchor in anchors.items() if anchor == group}) == 1]
        for group in groups
    ]
    short = [named(cell, places) for cell, places in zip(own, shared, strict=True)]
    if all(shared) and len(set(short)) == len(short):
        return short
    return [named(cell, every) for cell in own]
