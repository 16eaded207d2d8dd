"""A search counts as so many tries as independent phrases would need for its luck."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from clarify.discover.luck import effective_tries
from clarify.errors import NoScoreError
from clarify.method.phrases.error_score import error_score


@dataclasses.dataclass(frozen=True)
class Given:
    """Images whose similarities to each phrase are its row."""

    right: NDArray[np.bool_]

    def similarities(self, phrases: NDArray[np.float32]) -> NDArray[np.float32]:
        return phrases

    def exact(self, phrase: NDArray[np.float32]) -> NDArray[np.float64]:
        return phrase.astype(np.float64)


RIGHT = np.arange(200) >= 40
IMAGES = Given(right=RIGHT)


def noise(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).normal(size=(count, 200)).astype(np.float32)


def test_phrases_that_split_alike_are_one_try_and_others_as_many_as_they_are() -> None:
    one = noise(1)
    assert effective_tries(IMAGES, np.repeat(one, 50, axis=0), seed=0) <= 2
    assert effective_tries(IMAGES, np.concatenate((one, -one, 2 * one)), seed=0) <= 2
    alike = np.repeat(noise(10), 20, axis=0)
    assert 5 <= effective_tries(IMAGES, alike, seed=0) <= 20
    assert 60 <= effective_tries(IMAGES, noise(100), seed=0) <= 100


def test_equal_similarities_are_never_parted() -> None:
    two_valued = (noise(30) > 0.5).astype(np.float32)
    assert effective_tries(IMAGES, two_valued, seed=0) <= 30
    assert effective_tries(IMAGES, np.zeros((30, 200), np.float32), seed=0) == 1  # no phrase parts anything


def test_where_nothing_explains_the_errors_the_best_is_confirmed_once_in_twenty() -> None:
    phrases = np.repeat(noise(12), 10, axis=0)
    phrases += 0.3 * np.random.default_rng(1).normal(size=phrases.shape).astype(np.float32)
    rng = np.random.default_rng(2)
    tries = effective_tries(IMAGES, phrases, seed=0)
    assert 12 <= tries < 120
    confirmed = 0
    for _ in range(200):
        right = rng.permutation(RIGHT)
        least = min(error_score(each[right], each[~right]).p_value for each in phrases)
        confirmed += least * tries <= 0.05
    assert confirmed <= 20  # ten on average; 21 and more in one of a thousand


def test_a_class_that_is_right_throughout_has_no_tries() -> None:
    with pytest.raises(NoScoreError):
        effective_tries(Given(right=np.ones(200, dtype=np.bool_)), noise(3), seed=0)
