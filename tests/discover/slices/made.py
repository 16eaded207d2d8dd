"""Images with a slice that a model fails on, made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clarify.discover.slices.interface import PhraseBank, SlicedImages
from tests.discover.planted import unit

CLASSES = ("cat", "dog")
WIDTH = 24
WORDS = ("water", "night", "snow", "grass", "road", "sofa", "tree", "fog")
DIRECTIONS = np.linalg.qr(np.random.default_rng(7).normal(size=(WIDTH, len(WORDS))))[0].T.astype(np.float32)


def bank(words: Sequence[str] = WORDS, classes: Sequence[str] = CLASSES) -> PhraseBank:
    """Return phrases; texts that are none of them are not known."""

    def embed(texts: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        known = tuple(each for each in texts if each in words)
        return known, DIRECTIONS[[list(words).index(each) for each in known]]

    return PhraseBank(phrases=tuple(words), embeddings=DIRECTIONS, embed=embed, classes=tuple(classes))


def images_of(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    right: NDArray[np.bool_],
    *,
    captions: Sequence[Sequence[str]] | None = None,
) -> SlicedImages:
    """Return images of two classes by which of them are right."""
    predicted = np.where(right, labels, 1 - labels)
    return SlicedImages(
        features=features,
        embeddings=unit(features.astype(np.float64)),
        labels=labels,
        probabilities=np.where(np.eye(2)[predicted] == 1, 0.9, 0.1),
        captions=tuple(tuple(each) for each in captions or [()] * len(labels)),
    )


def planted(*, count: int = 600, seed: int = 0) -> tuple[SlicedImages, NDArray[np.bool_]]:
    """Return images of both classes, and which of them have water in them: most of these are wrong."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    has = rng.random(count) < 0.25
    right = rng.random(count) < np.where(has, 0.15, 0.95)
    features = rng.normal(size=(count, WIDTH)) + 6.0 * has[:, None] * DIRECTIONS[0]
    return images_of(features.astype(np.float32), labels, right), has
