"""The order in which a pool is labelled, on numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from clarify.discover.collecting import best_rows, distinct, spread_out
from clarify.errors import InputError


def at(*degrees: float) -> np.ndarray:
    """Return vectors of length 2 in the plane, by their angles."""
    angles = np.radians(degrees)
    return 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_the_best_come_first_and_of_equals_the_first_row() -> None:
    scores, allowed = [0.5, 0.9, 0.9, 1.0, 0.2], [True, True, True, False, True]
    assert best_rows(scores, allowed, 2).tolist() == [1, 2]
    assert best_rows(scores, allowed, 9).tolist() == [1, 2, 0, 4]
    assert best_rows([1.0, 1.0, 1.0], [True] * 3, 2).tolist() == [0, 1]
    assert best_rows([1.0], [False], 3).tolist() == []
    with pytest.raises(InputError, match="images to collect is 0"):
        best_rows(scores, allowed, 0)


def test_the_best_are_those_that_a_full_sort_finds() -> None:
    rng = np.random.default_rng(0)
    scores, allowed = rng.integers(0, 50, 2_000).astype(float), rng.random(2_000) < 0.5
    order = sorted(np.flatnonzero(allowed).tolist(), key=lambda row: (-scores[row], row))
    assert best_rows(scores, allowed, 70).tolist() == order[:70]


def test_copies_of_what_is_taken_or_known_are_passed_over() -> None:
    # cos 1 degree is .99985, cos 10 degrees .985: the second copies the first, the last one what is known.
    rows, copies = distinct(at(0, 1, 10, 50, 90), at(91), most=9)
    assert (rows.tolist(), copies) == ([0, 2, 3], 2)
    rows, copies = distinct(at(0, 1, 10, 50), at(91), most=2)
    assert (rows.tolist(), copies) == ([0, 2], 1)
    # A copy of a copy that was passed over is no copy of what was taken: cos 4 degrees is .9976.
    assert distinct(at(0, 2, 4), np.zeros((0, 2)), most=9)[0].tolist() == [0, 2]


def test_the_farthest_of_all_that_were_taken_is_next() -> None:
    # From 0: 170 is farthest; then 80 is 80 and 90 away, 100 is 100 and 70, so 80 is the farther one.
    assert spread_out(at(0, 10, 80, 100, 170), 4).tolist() == [0, 4, 2, 3]
    assert spread_out(at(0, 0, 0), 5).tolist() == [0, 1, 2]
