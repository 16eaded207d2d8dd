"""Explore and confirm: some images are looked at and scored, and what was found is checked on the others.

Whoever tries many phrases finds one that fits the images at hand. So half of the images of a class are set
aside, by a hash of their ids: the division is the same for everybody, on every day, whatever the model
gets wrong. A cut that was found on the half that people see is counted once on the other, which no choice
of a phrase flatters. A class with few wrong images is not divided: half of them shows no pattern.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.method.arrays import bool_vector, number_vector
from clarify.method.intervals import wilson
from clarify.method.phrases.error_score import ErrorScore

__all__ = ["Confirmation", "aside_of", "confirm", "set_aside"]

LEAST = 30
"""Right and wrong images each of either part: a score of .5 on so few has a deviation of .1."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What a cut comes to on images that it was not chosen on.

    Parameters
    ----------
    correct_on_wrong_side, wrong_on_wrong_side : int
        Images on the side where the errors are said to be.
    n_correct, n_wrong : int
        All images set aside, at least 1 each.
    """

    correct_on_wrong_side: int
    n_correct: int
    wrong_on_wrong_side: int
    n_wrong: int

    @property
    def value(self) -> float:
        """The score of this cut and direction, in [-1, 1]: 0 on average where the phrase explains nothing."""
        return self.wrong_on_wrong_side / self.n_wrong - self.correct_on_wrong_side / self.n_correct

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of `value` in the population, in [-1, 1].

        Source: Newcombe 1998, "Interval estimation for the difference between independent proportions",
        method 10: from the Wilson intervals of both shares.
        """
        wrong = wilson(self.wrong_on_wrong_side / self.n_wrong, self.n_wrong)
        correct = wilson(self.correct_on_wrong_side / self.n_correct, self.n_correct)
        return (
            self.value - math.hypot(wrong.estimate - wrong.low, correct.high - correct.estimate),
            self.value + math.hypot(wrong.high - wrong.estimate, correct.estimate - correct.low),
        )

    @property
    def p_value(self) -> float:
        """Chance of so many wrong images there, or more, were right and wrong alike: in [0, 1].

        Fisher's exact test, one-sided: the direction was chosen before.
        """
        from scipy.stats import hypergeom

        there = self.correct_on_wrong_side + self.wrong_on_wrong_side
        every = self.n_correct + self.n_wrong
        return float(hypergeom.sf(self.wrong_on_wrong_side - 1, every, self.n_wrong, there))


def set_aside(ids: Iterable[str]) -> NDArray[np.bool_]:
    """Return which images (N,) confirm: about half of them, by a bit of the hash of each id."""
    bits = [hashlib.blake2b(f"confirm {each}".encode(), digest_size=1).digest()[0] & 1 for each in ids]
    return np.array(bits, dtype=np.bool_)


def aside_of(ids: Iterable[str], right: ArrayLike) -> NDArray[np.bool_]:
    """Return which images (N,) of a class are set aside, if any.

    Parameters
    ----------
    ids : iterable of N str
    right : array_like of bool, (N,)
        Which of them the model gets right. Where a part has fewer than `LEAST` right or wrong ones, the
        class is too small to be divided, and none is set aside.

    Raises
    ------
    InputError
        For unlike lengths.
    """
    aside = set_aside(ids)
    known = bool_vector(right, what="right", length=len(aside))
    cells = np.bincount(2 * known.astype(np.int64) + aside, minlength=4)
    return aside if cells.min() >= LEAST else np.zeros_like(aside)


def confirm(score: ErrorScore, correct: ArrayLike, wrong: ArrayLike) -> Confirmation:
    """Count a cut that was found on other images.

    Parameters
    ----------
    score : ErrorScore
        With the cut and its direction.
    correct, wrong : array_like of float, (N_correct,) and (N_wrong,)
        Similarities of the images that were set aside, at least one each.

    Raises
    ------
    FeatureError
        Where a similarity is no number.
    """
    right = number_vector(correct, what="similarities of right images")
    errors = number_vector(wrong, what="similarities of wrong images")
    return Confirmation(
        correct_on_wrong_side=int(score.wrong_side(right).sum()),
        n_correct=len(right),
        wrong_on_wrong_side=int(score.wrong_side(errors).sum()),
        n_wrong=len(errors),
    )
