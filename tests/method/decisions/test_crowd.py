"""Reviewers put together, on cases worked out by hand and on a published one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from clarify.errors import InputError
from clarify.method.decisions.crowd import alpha, consensus, ideas_of, overlaps, weights_of

NAN = float("nan")


def test_phrases_that_part_alike_overlap_and_so_do_opposite_ones() -> None:
    halves = [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 1], [1, 0, 0, 1, 0]]
    found = overlaps(halves)
    assert found[0, 1] == pytest.approx(2 / 3)
    assert found[0, 2] == 1  # its complement
    assert found[0, 3] == pytest.approx(2 / 4)  # of the complement, 1 of 4
    with pytest.raises(InputError, match=r"halves of shape \(0,\)"):
        overlaps([])


def test_an_idea_is_no_chain_and_begins_with_the_best() -> None:
    # Of 10 images: the first 8, 6 and 4. Neighbours have 3/4 and 2/3, the ends 1/2 only.
    halves = [[number < most for number in range(10)] for most in (8, 6, 4)]
    assert ideas_of(halves, [3, 2, 1]).tolist() == [0, 0, 1]
    assert ideas_of(halves, [1, 3, 2]).tolist() == [0, 0, 0]
    assert ideas_of(halves, [0, 0, 0]).tolist() == [0, 0, 1]


def test_weight_is_the_shrunken_gain_and_never_agreement() -> None:
    # Ada .2 / (1 + 3) = .05, Bo (.1 + .1 + .1) / (3 + 3) = .05; Cy's losses and Di's unmeasured phrase are 0.
    found = weights_of(["Ada", "Bo", "Bo", "Bo", "Cy", "Di"], [0.2, 0.1, 0.1, 0.1, -0.3, None])
    assert found == pytest.approx({"Ada": 0.5, "Bo": 0.5, "Cy": 0, "Di": 0})
    # Nineteen who agree on what harms have nothing beside the one who is right.
    crowd = [f"reviewer {number}" for number in range(19)]
    assert weights_of(["Ada", *crowd], [0.3, *[-0.05] * 19])["Ada"] == 1
    assert weights_of(["Ada", "Bo"], [None, 0.0]) == {"Ada": 0.5, "Bo": 0.5}
    assert weights_of([], []) == {}


def test_nobody_has_more_than_the_cap() -> None:
    # Worth 6 : 1 : 1 : 1 : 1, so .6 is cut to .25, and the other .75 is shared by four.
    names = ["Ada", "Bo", "Cy", "Di", "Ed"]
    found = weights_of(names, [0.6, 0.1, 0.1, 0.1, 0.1])
    assert list(found.values()) == pytest.approx([0.25, *[0.75 / 4] * 4])
    # Three who bring something: a third each, not a quarter that would be lost.
    assert list(weights_of(names, [0.6, 0.1, 0.1, 0, 0]).values()) == pytest.approx([1 / 3] * 3 + [0, 0])


def test_a_person_counts_once_in_the_consensus() -> None:
    halves = [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    found = consensus(halves, ["Ada", "Ada", "Bo"], {"Ada": 0.75, "Bo": 0.25})
    assert found == pytest.approx([0.75, 0.375, 0.25])


def test_alpha_is_that_of_the_published_example() -> None:
    # Krippendorff 2011, A: binary, two observers, no data missing: .095.
    meg, owen = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert alpha([meg, owen]) == pytest.approx(0.095, abs=5e-4)
    assert alpha([meg, meg]) == 1
    assert alpha([[1, 1], [1, 1]]) is None
    assert alpha([[1, NAN], [NAN, 0]]) is None


def test_alpha_is_one_less_observed_over_expected_disagreement_counted_pair_by_pair() -> None:
    rng = np.random.default_rng(3)
    said = rng.integers(0, 2, (4, 12)).astype(float)
    said[rng.random(said.shape) < 0.25] = NAN
    units = [[value for value in column if value == value] for column in said.T]
    units = [unit for unit in units if len(unit) > 1]
    values = list(itertools.chain(*units))
    observed = sum(sum(a != b for a, b in itertools.permutations(u, 2)) / (len(u) - 1) for u in units)
    expected = sum(a != b for a, b in itertools.permutations(values, 2)) / (len(values) - 1)
    assert alpha(said) == pytest.approx(1 - observed / expected)
