"""What a discovery method sees of images and of phrases, and what it returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from clarify.errors import InputError

__all__ = ["LEAST_WRONG", "ImageSlice", "PhraseBank", "SlicedImages", "large_enough"]

LEAST_WRONG = 5
"""Wrong images that a class needs: a group of fewer is no pattern."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlicedImages:
    """N images of C classes, as a model sees them.

    Parameters
    ----------
    features : (N, D) float
        What the model's head takes.
    embeddings : (N, E) float32, rows of unit length
        What phrases are compared with.
    labels : (N,) int64, in [0, C)
    probabilities : (N, C) float64
        By the model; one-hot where only its predictions are known.
    captions : tuple of N tuples of str
        Empty ones of images that have none.

    Raises
    ------
    InputError
        For arrays of unlike lengths.
    """

    features: NDArray[np.floating]
    embeddings: NDArray[np.float32]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    captions: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        rows = [len(getattr(self, each.name)) for each in dataclasses.fields(self)]
        if len(set(rows)) > 1:
            raise InputError(f"images: arrays of {rows} rows; give one row an image")

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The likeliest class of each, (N,)."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which of them the model gets right, (N,)."""
        return np.equal(self.predicted, self.labels)

    def take(self, rows: NDArray[np.int64]) -> SlicedImages:
        """Return some of them, in the order given."""
        return SlicedImages(
            features=self.features[rows],
            embeddings=self.embeddings[rows],
            labels=self.labels[rows],
            probabilities=self.probabilities[rows],
            captions=tuple(self.captions[row] for row in rows.tolist()),
        )

    def by_class(self) -> Iterator[tuple[int, SlicedImages]]:
        """Yield the classes that are `large_enough` with their images."""
        for label in np.unique(self.labels).tolist():
            part = self.take(np.flatnonzero(self.labels == label))
            if large_enough(part.right):
                yield label, part


def large_enough(right: NDArray[np.bool_]) -> bool:
    """Whether a class of which `right` tells all images has enough wrong ones, and right ones too."""
    return int((~right).sum()) >= LEAST_WRONG and int(right.sum()) >= LEAST_WRONG


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhraseBank:
    """Phrases that may describe slices.

    Parameters
    ----------
    phrases : tuple of P str
        Plain ones.
    embeddings : (P, E) float32, rows of unit length
    embed : callable
        Of any texts, those that the encoder knows as phrases, with their embeddings.
    classes : tuple of C str
        The classes' names: words that only name a class describe nothing.
    """

    phrases: tuple[str, ...]
    embeddings: NDArray[np.float32]
    embed: Callable[[Sequence[str]], tuple[tuple[str, ...], NDArray[np.float32]]]
    classes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageSlice:
    """A group of images that a method found.

    Parameters
    ----------
    name : str
        For people.
    score : callable
        Of M images, how much each belongs to it, (M,) float64: higher is more. Of any scale.
    label : int or None
        The class that it was found in; None where the method looked at all at once.
    phrase : str
        Of a slice that is a phrase, or several joined by AND; empty of others.
    """

    name: str
    score: Callable[[SlicedImages], NDArray[np.float64]] = dataclasses.field(repr=False)
    label: int | None = None
    phrase: str = ""

    def class_in(self, images: SlicedImages) -> int:
        """Return the class that it is about: of several, the one whose wrong images weigh most in it.

        Weighed is by rank, since scores are of any scale.
        """
        if self.label is not None:
            return self.label
        ranks = self.score(images).argsort().argsort() / len(images.labels)
        most = (~images.right) & (ranks >= np.quantile(ranks, 0.9))
        counted = most if most.any() else ~images.right
        return int(np.bincount(images.labels[counted]).argmax())
