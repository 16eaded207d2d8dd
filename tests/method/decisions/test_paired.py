"""Two models on the same images: the exact test, and the bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from clarify.errors import InputError
from clarify.method.decisions.paired import Paired, mean_change, paired, surely_worse

outcomes = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200)).map(
    lambda three: Paired(count=sum(three), better=three[0], worse=three[1])
)


def test_outcomes_are_counted() -> None:
    found = paired([True, True, False, False, False], [True, False, True, True, False])
    assert found == Paired(count=5, better=2, worse=1)
    assert found.change == pytest.approx(0.2)


@given(outcomes)
def test_the_chance_of_so_many_worse_ones_is_that_of_the_exact_test(pair: Paired) -> None:
    differing = pair.better + pair.worse
    expected = binomtest(pair.worse, differing, alternative="greater").pvalue if differing else 1.0
    assert pair.p_worse == pytest.approx(expected)


def test_a_bound_worked_out_by_hand() -> None:
    # 30 better of 98; with one each added 30 / 100 = .30, variance 32 / 100**2 = .0032.
    found = mean_change([Paired(count=98, better=30, worse=0)])
    assert found.estimate == pytest.approx(30 / 98)
    assert found.lower == pytest.approx(0.30 - 1.6449 * 0.0032**0.5, abs=1e-4)
    # The mean of two such sets is as high, and its deviation smaller by the root of two.
    twice = mean_change([Paired(count=98, better=30, worse=0)] * 2)
    assert twice.lower == pytest.approx(0.30 - 1.6449 * (0.0032 / 2) ** 0.5, abs=1e-4)


@given(outcomes)
def test_one_set_of_images_is_never_sure_where_the_exact_test_is_not(pair: Paired) -> None:
    turned = Paired(count=pair.count, better=pair.worse, worse=pair.better)
    if mean_change([pair]).lower > 0 and pair.count:
        assert turned.p_worse <= 0.065


def test_a_sure_fall_worked_out_by_hand() -> None:
    # 30 worse of 98: .30 with one each added, variance (.32 - .09) / 100 = .0023.
    fall = surely_worse(Paired(count=98, better=0, worse=30), confidence=0.95)
    assert fall == pytest.approx(0.30 - 1.6449 * 0.0023**0.5, abs=1e-4)


def test_the_bound_holds_in_at_least_94_of_100_draws() -> None:
    rng = np.random.default_rng(0)
    for size, better, worse in ((12, 0.3, 0.05), (50, 0.1, 0.05), (200, 0.05, 0.05), (30, 0.0, 0.0)):
        drawn = rng.multinomial(size, [better, worse, 1 - better - worse], size=2000)
        held = [
            mean_change([Paired(count=size, better=int(b), worse=int(w))]).lower <= better - worse
            for b, w, _ in drawn
        ]
        assert np.mean(held) >= 0.94


@pytest.mark.parametrize("wrong", [(1, 1, 1), (2, -1, 0)])
def test_more_outcomes_than_images_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="legal"):
        Paired(count=wrong[0], better=wrong[1], worse=wrong[2])


def test_no_images_and_no_confidence_are_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        mean_change([])
    with pytest.raises(InputError, match="legal"):
        mean_change([Paired(count=1, better=0, worse=0)], confidence=1.0)
