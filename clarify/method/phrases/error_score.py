"""The error score: how well similarity to a phrase tells wrong images from right ones.

Source: arXiv 2402.03715, section 4, "error score". The paper's own code scans 1,000 thresholds;
the exact maximum over all of them is the two-sided two-sample Kolmogorov-Smirnov statistic,
which is what is computed here.

How much of a score may be luck is said beside it: `clarify.method.phrases.evidence`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import FeatureError, InputError, NoScoreError
from clarify.method.arrays import finite_vector, number_vector
from clarify.method.phrases.best_cut import best_gap, threshold_between

__all__ = ["BANDS", "FEW_WRONG", "ErrorScore", "band", "error_score", "score_at"]

BANDS = ((0.1, "no better than chance"), (0.3, "weak"), (0.5, "moderate"), (0.7, "strong"))
"""Upper ends of the words for a score; above the last it is "very strong".

The authors set their participants the goals 0.3 (CelebA), 0.5 (Waterbirds) and 0.6 (sprites), so
the words change at the first two of these, and once below and once above them.
"""

FEW_WRONG = 10
"""Under so many wrong images a score is called weakly founded whatever it says."""

Floats: TypeAlias = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorScore:
    """The best single cut between the similarities of right and of wrong images.

    Parameters
    ----------
    value : float
        In [0, 1]: 0 is chance, 1 a perfect split. Twice the best balanced accuracy less one half,
        and the Kolmogorov-Smirnov statistic. Higher explains the errors better.
    threshold : float
        The cut, midway between two neighbouring similarities (or at the lower one, where no
        number lies between). The side *above* is ``similarity > threshold``.
    wrong_is_above : bool
        True where images with a high similarity tend to be wrong.
    n_correct, n_wrong : int
        Images behind the score, each at least 1.
    correct_on_wrong_side, wrong_on_wrong_side : float
        The share in [0, 1] of right and of wrong images that fall on the side of the errors;
        `value` is their difference.
    """

    value: float
    threshold: float
    wrong_is_above: bool
    n_correct: int
    n_wrong: int
    correct_on_wrong_side: float
    wrong_on_wrong_side: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.value <= 1.0:
            raise InputError(f"error score: value is {self.value}; 0 to 1 is legal")
        if not math.isfinite(self.threshold):
            raise InputError(f"error score: threshold is {self.threshold}; a number is legal")
        if self.n_correct < 1 or self.n_wrong < 1:
            raise InputError(
                f"error score: {self.n_correct} right and {self.n_wrong} wrong images; "
                "at least 1 of each is legal"
            )

    @property
    def p_value(self) -> float:
        """Chance of a score as high or higher if right and wrong images looked alike, in [0, 1].

        Two-sided; exact up to 10,000 images of each kind, else asymptotic: scipy's ``ks_2samp``. It
        knows of one phrase: correct it for the number of phrases tried (`evidence`).
        """
        correct, wrong = self.correct_on_wrong_side, self.wrong_on_wrong_side
        return _p_value(
            round(correct * self.n_correct), self.n_correct, round(wrong * self.n_wrong), self.n_wrong
        )

    def wrong_side(self, similarity: ArrayLike) -> NDArray[np.bool_]:
        """Return which images (N,) fall on the side of the cut where the errors are.

        Raises
        ------
        FeatureError
            Where `similarity` is not a vector of finite numbers.
        """
        above = finite_vector(similarity, what="similarity") > self.threshold
        return above if self.wrong_is_above else ~above

    def to_dict(self) -> dict[str, float | int | bool]:
        """Return the fields as plain values, with the uncorrected p-value and the word."""
        return {**dataclasses.asdict(self), "p_value": self.p_value}


def error_score(correct: ArrayLike, wrong: ArrayLike) -> ErrorScore:
    """Score how well one threshold on similarity parts wrong images from right ones.

    Parameters
    ----------
    correct, wrong : array_like of float, (N_correct,) and (N_wrong,)
        Similarities to one phrase of the images of one class that the model got right, and of
        those that it got wrong. Equal similarities always stay on the same side.

    Returns
    -------
    ErrorScore
        ``value`` in [0, 1], 0 chance, 1 perfect; equal to ``scipy.stats.ks_2samp``'s statistic.
        Of several equally good cuts the one in the widest gap is taken, then the lowest.

    Raises
    ------
    NoScoreError
        Where there is no right or no wrong image.
    FeatureError
        Where a similarity is NaN or infinite, or not a number.

    Notes
    -----
    arXiv 2402.03715, section 4: ``2 (max_t balanced accuracy - 1/2)``, maximised exactly. Each
    sample is sorted once; their two distribution functions are furthest apart at, or just before,
    a point of the smaller sample, so only these points are looked up in the larger one.

    Examples
    --------
    >>> error_score([0.1, 0.2, 0.3], [0.25, 0.4]).value
    0.6666666666666666
    """
    right, errors = _sorted(correct, wrong)
    few, many = sorted((errors, right), key=len)
    return _score_at(threshold_between(*best_gap(few, many)), right, errors)


def score_at(correct: ArrayLike, wrong: ArrayLike, threshold: float) -> ErrorScore:
    """Score a cut that somebody chose, the best or not; parameters and errors are `error_score`'s."""
    right, errors = _sorted(correct, wrong)
    return _score_at(threshold, right, errors)


def band(value: float) -> str:
    """Return the word for an error score: see `BANDS`."""
    return next((word for end, word in BANDS if value < end), "very strong")


def _sorted(correct: ArrayLike, wrong: ArrayLike) -> tuple[Floats, Floats]:
    right = number_vector(correct, what="similarities of right images")
    errors = number_vector(wrong, what="similarities of wrong images")
    _refuse_empty(len(right), len(errors))
    right, errors = np.sort(right), np.sort(errors)
    _refuse_infinite(right, "right")
    _refuse_infinite(errors, "wrong")
    return right, errors


def _refuse_empty(n_correct: int, n_wrong: int) -> None:
    if n_correct and n_wrong:
        return
    if not n_correct and not n_wrong:
        raise NoScoreError("no error score: there are no images at all; choose another class")
    kind, count = ("wrong", n_correct) if n_correct else ("right", n_wrong)
    done = "right" if kind == "wrong" else "wrong"
    raise NoScoreError(
        f"no error score: all {count} images were predicted {done}, none {kind}; "
        "it needs at least one of each, so choose another class"
    )


def _refuse_infinite(ordered: Floats, kind: str) -> None:
    # Sorting puts NaN last and the infinities at the ends, so two looks suffice.
    for value in (ordered[-1], ordered[0]):
        if not math.isfinite(value):
            raise FeatureError(
                f"similarities of {kind} images: {value} is among the {len(ordered)}; "
                "only finite numbers are legal, so embed the images again"
            )


def _score_at(threshold: float, right: Floats, errors: Floats) -> ErrorScore:
    n_correct, n_wrong = len(right), len(errors)
    correct_above = n_correct - int(np.searchsorted(right, threshold, side="right"))
    wrong_above = n_wrong - int(np.searchsorted(errors, threshold, side="right"))
    # Whole numbers until the one division: exact under an exchange of the samples.
    difference = wrong_above * n_correct - correct_above * n_wrong
    is_above = difference > 0
    correct_there = correct_above if is_above else n_correct - correct_above
    wrong_there = wrong_above if is_above else n_wrong - wrong_above
    return ErrorScore(
        value=abs(difference) / (n_correct * n_wrong),
        threshold=threshold,
        wrong_is_above=is_above,
        n_correct=n_correct,
        n_wrong=n_wrong,
        correct_on_wrong_side=correct_there / n_correct,
        wrong_on_wrong_side=wrong_there / n_wrong,
    )


@functools.lru_cache(maxsize=1024)
def _p_value(correct_there: int, n_correct: int, wrong_there: int, n_wrong: int) -> float:
    """Return the p-value of a best cut: it knows how many images lie on each side, and no more."""
    from scipy.stats import ks_2samp

    right = np.arange(n_correct) >= n_correct - correct_there
    errors = np.arange(n_wrong) >= n_wrong - wrong_there
    with warnings.catch_warnings():
        # Said where the exact value rounds past 1; what scipy gives instead is far from it.
        warnings.filterwarnings("error", "ks_2samp: Exact calculation unsuccessful", RuntimeWarning)
        try:
            return float(ks_2samp(right.astype(np.int8), errors.astype(np.int8)).pvalue)
        except RuntimeWarning:
            return 1.0
