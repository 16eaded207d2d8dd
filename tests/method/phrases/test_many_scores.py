from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from clarify.errors import FeatureError, InputError, NoScoreError
from clarify.method.phrases import many_scores
from clarify.method.phrases.error_score import error_score
from clarify.method.phrases.many_scores import MOST_PARTS, best_sides, error_scores

SINGLE = st.floats(-1, 1, width=32)


@given(data=st.data())
def test_each_score_is_exactly_that_of_one_phrase_alone(data: st.DataObject) -> None:
    n_images = data.draw(st.integers(2, 30))
    values = data.draw(st.sampled_from([SINGLE, st.sampled_from([-0.0, 0.0, 1e-45, 0.25, -0.5])]))
    similarity = data.draw(npst.arrays(np.float32, (3, n_images), elements=values))
    right = data.draw(npst.arrays(np.bool_, n_images))
    right[:2] = True, False
    part = data.draw(npst.arrays(np.bool_, n_images))
    part[:2] = True
    parts = np.stack([np.ones(n_images, dtype=np.bool_), part])
    found = error_scores(similarity, right, parts)
    for scores, among in zip(found, parts, strict=True):
        for score, row in zip(scores, similarity, strict=True):
            assert score == error_score(row[among & right], row[among & ~right]).value


@given(data=st.data())
def test_without_parts_each_score_and_each_best_cut_are_those_of_one_phrase_alone(
    data: st.DataObject,
) -> None:
    n_images = data.draw(st.integers(3, 30))
    values = data.draw(
        st.sampled_from(
            [
                SINGLE,
                st.sampled_from([-0.0, 0.0, 1e-45, -1e-45, 0.25, -0.5]),
                st.floats(-3, 3, width=32),  # beyond what a cosine can be
            ]
        )
    )
    similarity = data.draw(npst.arrays(np.float32, (3, n_images), elements=values))
    right = data.draw(npst.arrays(np.bool_, n_images))
    right[:2] = True, False
    among = data.draw(npst.arrays(np.bool_, n_images))
    among[:2] = True
    alone = [error_score(row[right], row[~right]) for row in similarity]
    assert error_scores(similarity, right)[0].tolist() == [each.value for each in alone]
    chosen = [error_score(row[among & right], row[among & ~right]) for row in similarity]
    sides = [each.wrong_side(row) for each, row in zip(chosen, similarity, strict=True)]
    np.testing.assert_array_equal(best_sides(similarity, right, among), sides)


def test_a_part_that_leaves_images_out_may_be_the_only_one() -> None:
    similarity = np.array([[0.1, 0.3, 0.2, 0.0]], dtype=np.float32)
    right = np.array([True, True, False, False])
    assert error_scores(similarity, right, np.array([[True, True, True, False]])).tolist() == [[0.5]]


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_many_phrases_in_many_blocks_agree_with_one_by_one(
    decimals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_scores, "CELLS_AT_ONCE", 1_000)
    rng = np.random.default_rng(decimals)
    similarity = np.round(rng.normal(0.2, 0.3, (203, 150)), decimals).astype(np.float32)
    right = rng.random(150) < 0.8
    expected = [error_score(row[right], row[~right]).value for row in similarity]
    assert np.abs(error_scores(similarity, right)[0] - expected).max() <= 1e-12


def test_differences_beyond_32_bits_are_counted_exactly() -> None:
    right = np.arange(100_000) < 50_000
    similarity = np.where(right, -1.0, 1.0).astype(np.float32)[None]
    assert error_scores(similarity, right).tolist() == [[1.0]]


def test_an_image_outside_a_part_does_not_count_in_it() -> None:
    similarity = np.array([[0.1, 0.2, 0.3, 0.0]], dtype=np.float32)
    right = np.array([True, True, False, False])
    parts = np.array([[True, True, True, True], [True, True, True, False]])
    assert error_scores(similarity, right, parts).tolist() == [[0.5], [1.0]]


def test_what_cannot_be_scored_is_refused() -> None:
    right = np.array([True, False, True])
    similarity = np.zeros((2, 3), dtype=np.float32)
    with pytest.raises(FeatureError, match="float64 of shape"):
        error_scores(similarity.astype(np.float64), right)  # type: ignore[arg-type]
    with pytest.raises(FeatureError, match=r"\(phrases, 3\) is legal"):
        error_scores(similarity[:, :2], right)
    for bad in (np.nan, np.inf, -np.inf):
        broken = similarity.copy()
        broken[1, 1] = bad
        with pytest.raises(FeatureError, match="NaN or infinite"):
            error_scores(broken, right)
    with pytest.raises(NoScoreError, match="all 3 images were predicted right, none wrong"):
        error_scores(similarity, np.ones(3, dtype=np.bool_))
    with pytest.raises(InputError, match="parts: int64"):
        error_scores(similarity, right, np.ones((1, 3), dtype=np.int64))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at most 16"):
        error_scores(similarity, right, np.ones((MOST_PARTS + 1, 3), dtype=np.bool_))
