"""Words of captions as phrases to search: which there are, and which images of a class they are of.

A caption mentions a word or not, so what is searched are columns of 1 and 0 in place of similarities;
all else is as `suggest` does it.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from clarify.discover.vocabulary import without_words
from clarify.method.arrays import bool_vector
from clarify.method.phrases.mentions import LITTLE_WORDS, MENTIONED, folded_words

__all__ = ["LEAST_CAPTIONS", "MOST_WORDS", "CaptionWords", "CaptionedImages", "caption_words"]

LEAST_CAPTIONS = 10
"""Captions of the class that have a word, for it to be searched."""

MOST_WORDS = 5_000
"""Words and pairs that are searched, those in most captions."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaptionedImages:
    """The captioned images of one class, as `suggest` takes them: phrases are columns of 1 and 0.

    Parameters
    ----------
    right : (N,) bool
        Which of them the model got right.
    """

    right: NDArray[np.bool_]

    def __post_init__(self) -> None:
        bool_vector(self.right, what="right")

    def similarities(self, phrases: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return for each phrase (P, N) which images mention it: what the phrases are."""
        return phrases

    def exact(self, phrase: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return it of one phrase (N,), as a person's own phrase is scored."""
        return phrase.astype(np.float64)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaptionWords:
    """The words of captions that can be searched.

    Parameters
    ----------
    phrases : tuple of P str
        ``mentioned: WORD`` or ``mentioned: WORD WORD``, those in most captions first.
    has : (P, N) float32
        1 where a caption of the image has it, else 0.
    left_out : int
        Words in as many captions that name classes, are mentioned of every image, or are too many.
    """

    phrases: tuple[str, ...]
    has: NDArray[np.float32]
    left_out: int


def caption_words(captions: Sequence[Sequence[str]], classes: Iterable[str]) -> CaptionWords:
    """Find words, and pairs of neighbouring words, that at least ten captions have.

    Parameters
    ----------
    captions : sequence of N sequences of str
        Of the captioned images of a class.
    classes : iterable of str
        All classes' names; what is made of their words alone says nothing new.

    Notes
    -----
    Little words ("a", "on") count neither alone nor in a pair.
    """
    counts: collections.Counter[str] = collections.Counter()
    images: dict[str, list[int]] = collections.defaultdict(list)
    for number, of_image in enumerate(captions):
        by_caption = [_searchable(caption) for caption in of_image]
        for found in by_caption:
            counts.update(found)
        for phrase in set().union(*by_caption):
            images[phrase].append(number)
    by_count = sorted(counts.items(), key=lambda each: (-each[1], each[0]))  # sets have no order of their own
    frequent = [phrase for phrase, count in by_count if count >= LEAST_CAPTIONS]
    tells = [phrase for phrase in frequent if len(images[phrase]) < len(captions)]
    kept = without_words(tells, classes)[:MOST_WORDS]
    has = np.zeros((len(kept), len(captions)), dtype=np.float32)
    for row, phrase in enumerate(kept):
        has[row, images[phrase]] = 1
    return CaptionWords(
        phrases=tuple(f"{MENTIONED} {phrase}" for phrase in kept), has=has, left_out=len(frequent) - len(kept)
    )


def _searchable(caption: str) -> set[str]:
    words = folded_words(caption)
    says = [len(word) > 1 and word.isalpha() and word not in LITTLE_WORDS for word in words]
    alone = {word for word, counts in zip(words, says, strict=True) if counts}
    pairs = zip(words, words[1:], says, says[1:], strict=False)
    return alone | {f"{first} {second}" for first, second, *both in pairs if all(both)}
