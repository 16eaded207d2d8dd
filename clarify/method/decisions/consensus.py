"""Of what several people say, the phrase that is most like all others.

One good reviewer is not known beforehand, and the best score is as often luck. What most of them mean is a
phrase that ranks the images as the others' phrases do: no word of it needs to be theirs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clarify.errors import FeatureError

__all__ = ["agreement", "medoid"]


def agreement(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how alike M phrases part the same N images, shape (M, M), in [0, 1].

    The absolute rank correlation of their scores: no cut has a part in it, and a phrase and its opposite part
    alike. A phrase that scores all images the same agrees with none.

    Parameters
    ----------
    scores : (M, N) float
        Of each phrase, of the same images.

    Raises
    ------
    FeatureError
        For scores that are not such a table of finite numbers.
    """
    from scipy.stats import rankdata

    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all():
        raise FeatureError(f"scores of phrases: shape {scores.shape}; a row of finite numbers each is legal")
    ranks = rankdata(scores, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    lengths = np.sqrt((ranks**2).sum(axis=1, keepdims=True))
    rows = np.divide(ranks, lengths, out=np.zeros_like(ranks), where=lengths > 0)
    return np.asarray(np.minimum(1.0, np.abs(rows @ rows.T)))


def medoid(scores: NDArray[np.floating]) -> int:
    """Return which of M phrases agrees most with the others, the first of equals; see `agreement`."""
    alike = agreement(scores)
    np.fill_diagonal(alike, 0.0)
    return int(alike.sum(axis=1).argmax())
