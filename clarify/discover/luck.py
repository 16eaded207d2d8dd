"""How many independent phrases a search through many alike comes to.

The words of a vocabulary split a class in few ways ("lake", "sea", "river"), so the best of 600 has less luck
than the best of 600 that have nothing to do with one another.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from clarify.discover.halves import SearchedImages
from clarify.method.arrays import generator
from clarify.method.phrases.error_score import error_score
from clarify.method.phrases.evidence import CONFIRMED_P

__all__ = ["effective_tries"]

SHUFFLES = 400
"""The number found has a standard deviation of a fifth of itself with so many."""


def effective_tries(images: SearchedImages, phrases: NDArray[np.float32], *, seed: int) -> int:
    """Return how many tries a search of all phrases on all images counts as, 1 to P.

    Right and wrong are dealt out anew by chance, again and again, and the best p-value of any phrase is
    taken: in one deal of twenty it is under some p. So many independent tries would have the same luck
    (`CONFIRMED_P` / p; Westfall & Young 1993 correct by the same distribution).

    Parameters
    ----------
    phrases : (P, D) float32
    seed : int
        Of the deals.

    Raises
    ------
    NoScoreError
        Where the class has no right or no wrong image.
    """
    rng = generator(seed, "shuffled")
    dealt = np.stack([rng.permutation(images.right) for _ in range(SHUFFLES)])
    n_right = int(images.right.sum())
    # The difference of the distributions in whole numbers, as `many_scores` counts it, and in few bits.
    whole = np.min_scalar_type(-1 - n_right * (len(images.right) - n_right))
    moves = np.where(dealt, n_right - len(images.right), n_right).T.astype(whole, order="C")

    def reached(phrase: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the largest difference by a phrase in each deal."""
        (similarity,) = images.similarities(phrase[None])
        order = similarity.argsort()
        ends = np.flatnonzero(np.diff(similarity[order], append=np.inf))  # equal ones stay on one side
        apart = moves[order].cumsum(axis=0, dtype=whole)[ends]
        return np.asarray(np.maximum(apart.max(axis=0), -apart.min(axis=0)), dtype=np.int64)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        differences = np.stack(list(pool.map(reached, phrases)))
    falling = np.argsort(-differences.max(axis=0), kind="stable")
    deal = int(falling[round(CONFIRMED_P * SHUFFLES) - 1])
    (similarity,) = images.similarities(phrases[differences[:, deal].argmax()][None])
    luck = error_score(similarity[dealt[deal]], similarity[~dealt[deal]]).p_value
    return min(len(phrases), max(1, math.ceil(CONFIRMED_P / luck)))
