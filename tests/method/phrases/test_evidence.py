"""What speaks for a score: its interval, the images set aside, the count of tries."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarify.errors import InputError
from clarify.method.phrases.confirm import Confirmation, aside_of, confirm
from clarify.method.phrases.error_score import error_score
from clarify.method.phrases.evidence import evidence

samples = st.lists(st.integers(0, 8).map(float), min_size=1, max_size=40)


def test_a_cut_is_counted_on_the_images_set_aside_in_the_direction_it_was_found() -> None:
    score = error_score([0.1, 0.2, 0.3], [0.6, 0.7])  # wrong above .45
    found = confirm(score, [0.1, 0.5, 0.2, 0.3], [0.9, 0.8, 0.1])
    assert (found.correct_on_wrong_side, found.n_correct) == (1, 4)
    assert (found.wrong_on_wrong_side, found.n_wrong) == (2, 3)
    assert found.value == pytest.approx(2 / 3 - 1 / 4)
    turned = confirm(error_score([0.6, 0.7], [0.1, 0.2, 0.3]), [0.1, 0.5], [0.9, 0.8])  # wrong below .45
    assert turned.value == pytest.approx(-0.5)  # of right ones one of two lies there, of wrong ones none


def test_its_p_value_is_fishers_and_its_interval_newcombes() -> None:
    # 3 of 4 wrong and 1 of 4 right ones there: the tea taster's table, (16 + 1) / 70.
    tea = Confirmation(correct_on_wrong_side=1, n_correct=4, wrong_on_wrong_side=3, n_wrong=4)
    assert tea.p_value == pytest.approx(17 / 70)
    # Newcombe 1998, table II, contrast (a): 56 of 70 against 48 of 80: .0524 to .3339 by method 10.
    low, high = Confirmation(
        correct_on_wrong_side=48, n_correct=80, wrong_on_wrong_side=56, n_wrong=70
    ).interval
    assert (low, high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))
    none = Confirmation(correct_on_wrong_side=0, n_correct=10, wrong_on_wrong_side=10, n_wrong=10)
    assert none.interval[1] == pytest.approx(1.0)


def test_about_half_of_the_images_are_set_aside_by_their_ids_alone() -> None:
    ids = [f"image {number}" for number in range(2_000)]
    right = np.arange(2_000) % 4 > 0
    aside = aside_of(ids, right)
    assert 900 < aside.sum() < 1_100
    assert np.array_equal(aside, aside_of(ids, ~right))  # whatever the model gets wrong
    assert np.array_equal(aside[::-1], aside_of(ids[::-1], right[::-1]))  # wherever they stand
    assert np.array_equal(aside[:500], aside_of(ids[:500], right[:500]))  # whatever is added


def test_none_are_set_aside_where_a_part_would_have_under_thirty_wrong_images() -> None:
    ids = [f"image {number}" for number in range(400)]
    every = aside_of(ids, np.arange(400) % 2 > 0)
    wrong = np.concatenate((np.flatnonzero(every)[:30], np.flatnonzero(~every)[:30]))
    right = np.ones(400, dtype=bool)
    right[wrong] = False
    assert aside_of(ids, right).any()
    right[wrong[0]] = True
    assert not aside_of(ids, right).any()
    assert not aside_of(ids, ~right).any()


def test_of_the_best_of_many_phrases_nothing_is_left_where_right_and_wrong_are_alike() -> None:
    rng = np.random.default_rng(0)
    told = []
    for wrong_count in (5, 30, 120):
        held_out, confirmed = [], []
        for draw in range(30):
            scores = rng.normal(size=(300, 24)) @ rng.normal(size=(24, 200))
            right = np.ones(300, dtype=bool)
            right[rng.permutation(300)[:wrong_count]] = False
            aside = aside_of([f"{draw} {number}" for number in range(300)], right)
            best = max(scores.T, key=lambda of: error_score(of[~aside & right], of[~aside & ~right]).value)
            kept_back = (best[aside & right], best[aside & ~right])
            found = evidence(
                best[~aside & right],
                best[~aside & ~right],
                n_tried=200,
                seed=draw,
                aside=kept_back if aside.any() else None,
                resamples=100,
            )
            assert (found.confirmation is None) == (wrong_count < 60)
            assert found.score.value > 0.15
            held_out.append(found.held_out)
            confirmed.append(found.confirmed)
        told.append((np.mean(held_out), np.mean(confirmed)))
    assert max(abs(mean) for mean, _ in told) < 0.06
    assert max(share for _, share in told) < 0.1


def test_a_true_phrase_is_confirmed_with_and_without_images_set_aside() -> None:
    correct, wrong = drawn(2.0, 300, 40, 0)
    divided = evidence(correct[:150], wrong[:20], n_tried=600, seed=0, aside=(correct[150:], wrong[20:]))
    assert divided.confirmed
    assert divided.checked.startswith("On 170 images set aside: 0.")
    whole = evidence(correct, wrong[:15], n_tried=3, seed=0)
    assert whole.confirmed
    assert "less the luck of 3 tries" in whole.checked
    assert not dataclasses.replace(whole, n_tried=10**9).confirmed


def test_the_luck_of_many_tries_is_taken_off_a_score_that_was_cross_fitted() -> None:
    one = evidence(*drawn(1.5, 100, 15, 3), n_tried=1, seed=0)
    assert one.held_out == one.cross_fitted  # the mean of one normal score is 0
    shares = (one.score.correct_on_wrong_side * 100 + one.score.wrong_on_wrong_side * 15) / 115
    deviation = math.sqrt(shares * (1 - shares) * (1 / 100 + 1 / 15))
    two = dataclasses.replace(one, n_tried=2)
    # Blom: the upper of two is at the quantile (2 - 3/8) / (2 + 1/4), .5895 deviations above the mean.
    assert two.held_out == pytest.approx(one.cross_fitted - 0.5895 * deviation, abs=1e-4)
    assert dataclasses.replace(one, n_tried=10**9).held_out == 0.0  # never less than nothing


def drawn(shift: float, n_correct: int, n_wrong: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, n_correct), rng.normal(shift, 1, n_wrong)


def test_the_interval_holds_the_population_score_in_most_draws() -> None:
    # Two unit normals a distance d apart have the statistic 2 Phi(d / 2) - 1.
    held = 0
    for seed in range(200):
        low, high = evidence(*drawn(0.8, 200, 20, seed), n_tried=1, seed=seed).interval
        held += low <= math.erf(0.4 / math.sqrt(2)) <= high
    assert held >= 182  # 91 %


@settings(max_examples=30)
@given(samples, samples, st.integers(0, 99))
def test_the_interval_holds_the_score_and_stays_in_range(
    correct: list[float], wrong: list[float], seed: int
) -> None:
    found = evidence(correct, wrong, n_tried=1, seed=seed, resamples=100)
    low, high = found.interval
    assert 0.0 <= low <= found.score.value <= high <= 1.0


def test_five_errors_perfectly_split_are_not_called_certain() -> None:
    found = evidence(np.arange(5), 10 + np.arange(5), n_tried=1, seed=0)
    assert found.score.value == 1.0
    assert found.interval[0] < 0.7
    assert found.few_wrong


def test_the_interval_allows_for_the_choice_of_the_cut() -> None:
    # Nothing is there to be found: the score is luck, and the interval should reach down to 0.
    reached = [evidence(*drawn(0.0, 200, 20, s), n_tried=1, seed=s).interval[0] == 0 for s in range(100)]
    assert np.mean(reached) > 0.75


def test_luck_does_not_hold_out_and_a_real_cause_does() -> None:
    luck = [evidence(*drawn(0.0, 100, 12, s), n_tried=1, seed=s) for s in range(40)]
    assert np.mean([found.score.value for found in luck]) > 0.2
    assert abs(np.mean([found.held_out for found in luck])) < 0.05
    assert min(found.held_out for found in luck) < 0
    assert evidence(*drawn(2.0, 600, 60, 0), n_tried=1, seed=0).held_out > 0.5


def test_held_out_halves_share_no_image_whether_right_or_wrong() -> None:
    # Two right images lie alone, one on each side of the two wrong ones, which are alike. With a
    # wrong image in each half, the cut that the half with the right image at 0 finds (errors above)
    # takes the right image at 1 for wrong: all of the wrong ones less all of the right ones is 0,
    # in each half of every halving. A cut that had seen the other half's right image scores 0.5.
    assert evidence([0.0, 1.0], [0.5, 0.5], n_tried=1, seed=0).held_out == 0.0
    # The same with right and wrong exchanged: a cut that had seen the other wrong image scores 0.5.
    assert evidence([0.5, 0.5], [0.0, 1.0], n_tried=1, seed=0).held_out == 0.0
    # Seen as a whole the best cut puts one of the two on the wrong side.
    assert error_score([0.0, 1.0], [0.5, 0.5]).value == 0.5


def test_the_p_value_is_multiplied_by_the_phrases_tried_up_to_one() -> None:
    correct, wrong = drawn(1.0, 100, 15, 3)
    one = evidence(correct, wrong, n_tried=1, seed=0)
    assert one.p_corrected == one.score.p_value
    assert evidence(correct, wrong, n_tried=7, seed=0).p_corrected == 7 * one.score.p_value
    assert evidence(correct, wrong, n_tried=10**9, seed=0).p_corrected == 1.0


def test_nine_wrong_images_are_few_and_ten_are_not() -> None:
    assert evidence([0.0] * 30, list(range(9)), n_tried=1, seed=0).few_wrong
    assert not evidence([0.0] * 30, list(range(10)), n_tried=1, seed=0).few_wrong


def test_one_wrong_image_cannot_be_held_out() -> None:
    found = evidence([0.1, 0.2, 0.3], [0.9], n_tried=1, seed=0)
    assert found.held_out is None
    assert found.score.value == 1.0


def test_the_same_seed_gives_the_same_evidence_and_another_does_not() -> None:
    sample = drawn(0.7, 200, 30, 1)
    assert evidence(*sample, n_tried=2, seed=4) == evidence(*sample, n_tried=2, seed=4)
    assert evidence(*sample, n_tried=2, seed=4).interval != (evidence(*sample, n_tried=2, seed=5).interval)


def test_evidence_flat_holds_score_and_interval() -> None:
    flat = evidence([0.1, 0.2, 0.3], [0.2, 0.9], n_tried=2, seed=0).to_dict()
    assert flat["value"] == 0.5
    assert {"interval_low", "interval_high", "held_out", "p_value", "p_corrected"} <= set(flat)
    assert flat["n_tried"] == 2


def test_evidence_refuses_counts_that_cannot_be() -> None:
    with pytest.raises(InputError, match="n_tried is 0"):
        evidence([0.1], [0.2], n_tried=0, seed=0)
    with pytest.raises(InputError, match="resamples is 5"):
        evidence([0.1], [0.2], n_tried=1, seed=0, resamples=5)
