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


def anchors_of(
    name: str, terms: Sequence[str], codes: NDArray[np.int64], min_size: int
) -> tuple[dict[Cell, int], list[str]]:
    """Return for every combination the code of the cell it ends up in, and notes on merges."""
    every = 2 ** len(terms)
    sizes = {int(code): int(size) for code, size in enumerate(np.bincount(codes)) if size}
    sizes = sizes or {0: 0}
    home = {code: code for code in sizes}
    notes = []
    while len(sizes) > 1 and min(sizes.values()) < min_size:
        small = min(sizes, key=lambda code: (sizes[code], code))
        size = sizes.pop(small)
        to = _nearest_cell(small, sizes)
        notes.append(
            f"{_cell_name(name, terms, small)} ({size} images) "
            f"joined {_cell_name(name, terms, to)} ({sizes[to]})"
        )
        sizes[to] += size
        home = {code: to if anchor == small else anchor for code, anchor in home.items()}
    anchors = {code: home.get(code, _nearest_cell(code, sizes)) for code in range(every)}
    return {_cell(code, len(terms)): anchor for code, anchor in anchors.items()}, notes


def _nearest_cell(code: int, sizes: Mapping[int, int]) -> int:
    return min(sizes, key=lambda other: ((code ^ other).bit_count(), -sizes[other], other))


def _cell(code: int, n_terms: int) -> Cell:
    return tuple(bool(code >> place & 1) for place in reversed(range(n_terms)))


def _cell_name(name: str, terms: Sequence[str], code: int) -> str:
    if not terms:
        return name
    having = _cell(code, len(terms))
    said = [f"{'with' if has else 'without'} {term}" for has, term in zip(having, terms, strict=True)]
    return f"{name} · {', '.join(said)}"


def names_of(
    name: str, terms: Sequence[str], anchors: Mapping[Cell, int], groups: Sequence[int]
) -> list[str]:
    """Name each group by what all of its cells share, or by its largest cell where that is unclear.

    What merging made one again ("with water" whether red or not) loses the phrase that no longer
    parts it; two groups must not end up with one name.
    """
    if len(groups) == 1:
        return [name]
    short = []
    for group in groups:
        cells = [cell for cell, anchor in anchors.items() if anchor == group]
        shared = [place for place in range(len(terms)) if len({cell[place] for cell in cells}) == 1]
        said = [f"{'with' if cells[0][place] else 'without'} {terms[place]}" for place in shared]
        short.append(f"{name} · {', '.join(said)}" if said else "")
    if "" in short or len(set(short)) < len(short):
        return [_cell_name(name, terms, group) for group in groups]
    return short
