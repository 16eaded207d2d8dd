"""The error score against hand-computed cases, scipy, scikit-learn and its own invariants."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify.errors import FeatureError, InputError, NoScoreError
from clarify.method.phrases.best_cut import COARSE_FROM
from clarify.method.phrases.error_score import BANDS, ErrorScore, band, error_score

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from scipy.stats._stats_py import KstestResult

tied = st.lists(st.integers(-6, 6).map(float), min_size=1, max_size=25)
free = st.lists(st.floats(-1, 1, allow_nan=False, allow_subnormal=True), min_size=1, max_size=25)
samples = st.one_of(tied, free)


def share(flags: np.ndarray) -> Fraction:
    return Fraction(int(flags.sum()), len(flags))


def scipys(correct: ArrayLike, wrong: ArrayLike, method: str = "auto") -> KstestResult:
    """Ask scipy, which warns where its exact p-value rounds past 1 and another is given."""
    from scipy.stats import ks_2samp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return ks_2samp(correct, wrong, method=method)


def counted_p_value(correct: list[float], wrong: list[float]) -> Fraction:
    """Count, in whole numbers, the orders of the pooled images that are as extreme or more."""
    n, m = len(correct), len(wrong)
    reach = round(error_score(correct, wrong).value * n * m)
    inside = [[0] * (m + 1) for _ in range(n + 1)]
    for i in range(n + 1):
        for j in range(m + 1):
            if abs(i * m - j * n) < reach:
                before = (inside[i - 1][j] if i else 0) + (inside[i][j - 1] if j else 0)
                inside[i][j] = before if i or j else 1
    return 1 - Fraction(inside[n][m], math.comb(n + m, n))


def test_a_clean_split_scores_one_and_is_cut_midway() -> None:
    score = error_score([0.1, 0.2], [0.6, 0.9])
    assert (score.value, score.threshold, score.wrong_is_above) == (1.0, pytest.approx(0.4), True)
    assert (score.n_correct, score.n_wrong) == (2, 2)
    assert (score.correct_on_wrong_side, score.wrong_on_wrong_side) == (0.0, 1.0)
    assert list(score.wrong_side([0.39, 0.41])) == [False, True]


def test_errors_below_the_cut_are_found_too() -> None:
    score = error_score([0.7, 0.8, 0.3], [0.1, 0.2])
    assert (score.value, score.threshold, score.wrong_is_above) == (1.0, 0.25, False)
    assert list(score.wrong_side([0.2, 0.25, 0.3])) == [True, True, False]


def test_a_mixed_case_is_as_counted_by_hand() -> None:
    # Cut between 0.3 and 0.4: wrong above 3 of 4, right above 1 of 5.
    score = error_score([0.1, 0.2, 0.25, 0.3, 0.6], [0.15, 0.4, 0.5, 0.7])
    assert score.value == pytest.approx(3 / 4 - 1 / 5)
    assert score.threshold == pytest.approx(0.35)
    assert (score.correct_on_wrong_side, score.wrong_on_wrong_side) == (0.2, 0.75)


def test_images_that_look_alike_score_zero() -> None:
    assert error_score([0.5, 0.5], [0.5]).value == 0.0
    assert error_score([1, 2, 3], [3, 2, 1]).value == 0.0


def test_of_equally_good_cuts_the_widest_gap_is_taken() -> None:
    # Below 1 wrong, then right at 1 and 2, then wrong at 9: cuts 0|1 and 2|9 both give 1/2.
    assert error_score([1.0, 2.0], [0.0, 9.0]).threshold == 5.5
    assert error_score([1.0, 2.0], [0.0, 9.0]).wrong_is_above


@given(samples, samples)
def test_the_value_is_scipys_statistic(correct: list[float], wrong: list[float]) -> None:
    assert error_score(correct, wrong).value == pytest.approx(scipys(correct, wrong).statistic, abs=1e-12)


@given(samples, samples)
def test_the_value_is_youdens_j_in_the_better_direction(correct: list[float], wrong: list[float]) -> None:
    from sklearn.metrics import roc_curve

    truth = [0] * len(correct) + [1] * len(wrong)
    false_rate, true_rate, _ = roc_curve(truth, correct + wrong, drop_intermediate=False)
    youden = np.abs(true_rate - false_rate).max()
    assert error_score(correct, wrong).value == pytest.approx(youden, abs=1e-12)


@given(samples, samples)
def test_the_threshold_gives_back_the_value_exactly(correct: list[float], wrong: list[float]) -> None:
    score = error_score(correct, wrong)
    there, elsewhere = share(score.wrong_side(wrong)), share(score.wrong_side(correct))
    assert float(there - elsewhere) == score.value
    assert (float(elsewhere), float(there)) == (score.correct_on_wrong_side, score.wrong_on_wrong_side)


@given(samples, samples)
def test_swapping_right_and_wrong_turns_the_direction_and_keeps_value_and_cut(
    correct: list[float], wrong: list[float]
) -> None:
    score, swapped = error_score(correct, wrong), error_score(wrong, correct)
    assert (score.value, score.threshold) == (swapped.value, swapped.threshold)
    assert score.value == 0.0 or score.wrong_is_above is not swapped.wrong_is_above


@given(samples, samples)
def test_no_cut_over_all_observed_values_is_better(correct: list[float], wrong: list[float]) -> None:
    right, errors = np.array(correct), np.array(wrong)
    every = [abs(share(errors > cut) - share(right > cut)) for cut in [*correct, *wrong]]
    assert error_score(correct, wrong).value == float(max(every))


@given(st.floats(-1, 1, allow_subnormal=True), st.integers(1, 5), st.integers(1, 5))
def test_neighbouring_floats_are_parted_and_equal_ones_are_not(
    value: float, n_correct: int, n_wrong: int
) -> None:
    above = math.nextafter(value, 2.0)
    score = error_score([value] * n_correct, [above] * n_wrong)
    assert score.value == 1.0
    assert value <= score.threshold < above
    assert score.wrong_side([above] * 2).all()
    assert not score.wrong_side([value]).any()


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30),
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30),
)
def test_single_precision_is_cut_alike_in_single_and_in_double(
    correct: list[float], wrong: list[float]
) -> None:
    right, errors = np.array(correct, np.float32), np.array(wrong, np.float32)
    score = error_score(right, errors)
    assert score == error_score(correct, wrong)
    both = np.concatenate([right, errors])
    in_single = both > np.float32(score.threshold)
    assert np.array_equal(in_single == score.wrong_is_above, score.wrong_side(both))


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(-1, 1), st.integers(0, 3))
def test_the_short_cut_for_many_images_changes_nothing(seed: int, shift: float, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    few = np.round(rng.normal(0, 1, COARSE_FROM + 1 + seed % 70), decimals)
    many = np.round(rng.normal(shift, 1, COARSE_FROM * 2), decimals)
    cuts = np.unique(np.concatenate([few, many]))
    below = [np.searchsorted(np.sort(s), cuts, side="right") / len(s) for s in (few, many)]
    score = error_score(few, many)
    assert score.value == pytest.approx(np.abs(below[0] - below[1]).max(), abs=1e-12)


@given(samples, samples)
def test_the_p_value_is_the_share_of_orders_as_extreme(correct: list[float], wrong: list[float]) -> None:
    exact = float(counted_p_value(correct, wrong))
    assert error_score(correct, wrong).p_value == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "m", "shift"),
    [(4, 3, 1.0), (7, 5, 1.0), (30, 4, 0.7), (9, 9, 1.0), (97, 101, 1.0), (1200, 100, 0.3)],
)
@pytest.mark.parametrize("decimals", [17, 1])
def test_the_p_value_is_scipys_exact_one(n: int, m: int, shift: float, decimals: int) -> None:
    rng = np.random.default_rng(n)
    correct = np.round(rng.normal(0, 1, n), decimals)
    wrong = np.round(rng.normal(shift, 1, m), decimals)
    reference = scipys(correct, wrong, method="exact").pvalue
    assert error_score(correct, wrong).p_value == pytest.approx(reference, rel=1e-8)


@pytest.mark.parametrize(
    ("correct", "n_correct", "wrong", "n_wrong", "expected"),
    [
        (1, 2, 1, 3, 1.0),
        (0, 2, 1, 3, 1.0),
        (3, 10, 6, 10, 0.7869297884777762),
        (120, 1200, 40, 100, 7.732334296715856e-08),
        (100, 1300, 9, 10, 7.522424947627027e-08),
        (5, 97, 31, 101, 0.0023968989300164304),
        (2500, 10000, 2531, 10000, 0.9999999999200494),
        (4000, 10000, 4300, 10000, 0.0002465974968169772),
        (3000, 9999, 3150, 10000, 0.20858933667619053),
        (1000, 10000, 12, 37, 0.04123721110140398),
        (900, 1300, 60, 61, 7.130672679139516e-05),
        (0, 1200, 100, 100, 3.751805932485625e-152),
        (7, 8000, 300, 2000, 1.7564338322736166e-31),
        (500, 9000, 531, 9001, 0.999999998117908),
        (512, 4096, 1000, 8192, 0.9999999999999922),
        (3, 7, 4, 7, 1.0),
        (1, 150, 2, 150, 1.0),
        (499, 1000, 501, 1001, 0.9999999999999997),
        (0, 50, 0, 60, 1.0),
        (5000, 20000, 2700, 10001, 0.009660843085413652),
    ],
)
def test_the_p_value_is_what_it_was(
    correct: int, n_correct: int, wrong: int, n_wrong: int, expected: float
) -> None:
    # By a sum over lattice paths that Clarify once had of its own; the last by scipy's kstwo.
    score = error_score(np.arange(n_correct) < correct, np.arange(n_wrong) < wrong)
    assert score.p_value == pytest.approx(expected, rel=1e-12, abs=0)


def test_a_tiny_p_value_keeps_its_digits() -> None:
    # Two perfect orders out of C(1300, 100).
    score = error_score(np.arange(1200) / 1200, 2 + np.arange(100) / 100)
    exact = Fraction(2, math.comb(1300, 100))
    assert score.p_value == pytest.approx(float(exact), rel=1e-9)


def test_the_p_value_of_large_samples_is_scipys_asymptotic_one() -> None:
    rng = np.random.default_rng(5)
    correct, wrong = rng.normal(0, 1, 10_001), rng.normal(0.05, 1, 2_000)
    assert error_score(correct, wrong).p_value == pytest.approx(scipys(correct, wrong).pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("correct", "wrong", "text"),
    [
        ([0.1], [], "all 1 images were predicted right, none wrong"),
        ([], [0.1, 0.2], "all 2 images were predicted wrong, none right"),
        ([], [], "no images at all"),
    ],
)
def test_a_class_with_one_kind_of_image_has_no_score_and_says_why(
    correct: list[float], wrong: list[float], text: str
) -> None:
    with pytest.raises(NoScoreError, match=text):
        error_score(correct, wrong)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_similarities_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(FeatureError, match="of wrong images"):
        error_score([0.1, 0.2], [0.3, bad])
    with pytest.raises(FeatureError, match="of right images"):
        error_score([bad, 0.2], [0.3])
    with pytest.raises(FeatureError, match="entry 1"):
        error_score([0.1], [0.2]).wrong_side([0.0, bad])


@pytest.mark.parametrize("bad", [["a"], [[0.1], [0.2]], None, [None]])
def test_what_is_not_a_row_of_numbers_is_refused_in_one_line(bad: object) -> None:
    with pytest.raises(FeatureError) as caught:
        error_score(bad, [0.1])  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_score_out_of_range_cannot_be_made() -> None:
    with pytest.raises(InputError, match=r"value is 1\.2"):
        ErrorScore(
            value=1.2,
            threshold=0.0,
            wrong_is_above=True,
            n_correct=1,
            n_wrong=1,
            correct_on_wrong_side=0.0,
            wrong_on_wrong_side=1.0,
        )


def test_the_words_change_where_they_say() -> None:
    assert [band(end) for end, _ in BANDS] == [word for _, word in BANDS[1:]] + ["very strong"]
    assert band(0.0) == "no better than chance"
