"""What a search through one half of a class's images says about the other half.

The best of some thousand phrases scores high on any images, by luck. So the search is done on one
seeded half, phrase and cut together, and what it found is scored on the other half, which had no
part in the choice; then the other way round, over several halvings.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clarify.errors import FeatureError
from clarify.method.arrays import bool_vector, generator
from clarify.method.phrases.error_score import ErrorScore, error_score
from clarify.method.phrases.many_scores import error_scores
from clarify.method.phrases.similarity import similarities

__all__ = [
    "LEAST_OF_A_KIND",
    "BestCut",
    "Half",
    "ImagesOfClass",
    "SearchedImages",
    "can_be_halved",
    "halvings",
    "scores_in_parts",
]

LEAST_OF_A_KIND = 2
"""Right and wrong images each that a class needs to be halved."""

SIMILARITIES_AT_ONCE = 8_000_000


class SearchedImages(Protocol):
    """Images of a class that phrases are searched for: by embeddings, or by what captions mention."""

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which of them the model got right, shape (N,)."""

    def similarities(self, phrases: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what phrases (P, D) come to on each image, shape (P, N)."""

    def exact(self, phrase: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what one phrase (D,) comes to, shape (N,), as a person's own is scored."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImagesOfClass:
    """The images of one class.

    Parameters
    ----------
    embeddings : (N, D) float32, rows of unit length
    right : (N,) bool
        Which of them the model got right.
    """

    embeddings: NDArray[np.float32]
    right: NDArray[np.bool_]

    def __post_init__(self) -> None:
        bool_vector(self.right, what="right", length=len(self.embeddings))

    def similarities(self, phrases: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosine (P, N) of phrases (P, D) of unit length with each image.

        Raises
        ------
        FeatureError
            For unlike widths.
        """
        if phrases.ndim != 2 or phrases.shape[1] != self.embeddings.shape[1]:
            raise FeatureError(
                f"phrase embeddings: have shape {phrases.shape}, the images' "
                f"{self.embeddings.shape}; embed both with one encoder"
            )
        return phrases @ self.embeddings.T

    def exact(self, phrase: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the cosine (N,) of one phrase, as a person's own is scored."""
        return similarities(self.embeddings, phrase)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Half:
    """Images of a class to choose on, (N,) bool, and the others to check on; both right and wrong ones."""

    chosen_on: NDArray[np.bool_]
    checked_on: NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BestCut:
    """One phrase on some images: its best cut, and which images fall on the side of the errors.

    Parameters
    ----------
    side : (N,) bool
        Of all images of the class, not only those that the cut was chosen on.
    """

    score: ErrorScore
    side: NDArray[np.bool_]

    @classmethod
    def best(
        cls, similarity: NDArray[np.float32], right: NDArray[np.bool_], among: NDArray[np.bool_]
    ) -> BestCut:
        """Choose the cut of similarities (N,) on the images `among` (N,)."""
        score = error_score(similarity[among & right], similarity[among & ~right])
        return cls(score=score, side=score.wrong_side(similarity))

    def score_on(self, right: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
        """Return the score in [-1, 1] of this same cut and direction on other images."""
        return float(self.side[among & ~right].mean() - self.side[among & right].mean())


def can_be_halved(right: NDArray[np.bool_]) -> bool:
    """Whether both halves of images can have right and wrong ones."""
    n_right = int(right.sum())
    return min(n_right, len(right) - n_right) >= LEAST_OF_A_KIND


def halvings(right: NDArray[np.bool_], *, count: int, seed: int) -> tuple[Half, ...]:
    """Halve right and wrong images by chance `count` times; returns two ways for each halving."""
    found = []
    for number in range(count):
        rng = generator(seed, f"halving {number}")
        first = np.zeros(len(right), dtype=np.bool_)
        for kind in (right, ~right):
            rows = rng.permutation(np.flatnonzero(kind))
            # Of an odd number the odd one goes to either half in turn.
            first[rows[: (len(rows) + number % 2) // 2]] = True
        found += [Half(chosen_on=first, checked_on=~first), Half(chosen_on=~first, checked_on=first)]
    return tuple(found)


def scores_in_parts(
    images: SearchedImages, phrases: NDArray[np.float32], parts: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the exact error score (S, P) of P phrases in each part (S, N) of the images."""
    blocks = [
        error_scores(images.similarities(block), images.right, parts)
        for block in _blocks(phrases, len(images.right))
    ]
    return np.concatenate(blocks, axis=1)


def _blocks(phrases: NDArray[np.float32], n_images: int) -> Iterator[NDArray[np.float32]]:
    """Yield phrases by so many that their similarities take 32 MB at most."""
    rows = max(1, SIMILARITIES_AT_ONCE // max(1, n_images))
    for start in range(0, max(1, len(phrases)), rows):
        yield phrases[start : start + rows]
