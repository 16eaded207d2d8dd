"""Classes of unit vectors: with a failure planted in them, or with none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clarify.discover.halves import ImagesOfClass

WIDTH = 48
FAMILY = 6
"""Phrases that mean nearly the same."""


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def phrase_embeddings(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return phrases in families of near-synonyms, (count, WIDTH)."""
    rng = np.random.default_rng(seed)
    bases = np.repeat(rng.normal(size=(count // FAMILY, WIDTH)), FAMILY, axis=0)
    return unit(bases + 0.25 * rng.normal(size=bases.shape))


def names(count: int) -> list[str]:
    return [f"word{number}" for number in range(count)]


def planted_class(
    phrase: NDArray[np.float32], *, count: int = 300, strength: float = 0.8, seed: int = 0
) -> ImagesOfClass:
    """Return a class of which the images with the phrase are mostly wrong."""
    rng = np.random.default_rng(seed)
    images = unit(rng.normal(size=(count, WIDTH)))
    has = rng.random(count) < 0.35
    right = rng.random(count) < np.where(has, 0.25, 0.92)
    return ImagesOfClass(embeddings=unit(images + strength * has[:, None] * phrase), right=right)


def noise_class(count: int, accuracy: float, seed: int) -> ImagesOfClass:
    """Return a class whose errors have no pattern."""
    rng = np.random.default_rng(seed)
    right = rng.random(count) < accuracy
    right[:4] = True, True, False, False
    return ImagesOfClass(embeddings=unit(rng.normal(size=(count, WIDTH))), right=right)
