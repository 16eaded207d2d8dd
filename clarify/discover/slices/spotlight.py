"""The Spotlight: a Gaussian in the features, moved to where the loss is highest."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from clarify.discover.slices.interface import ImageSlice, PhraseBank, SlicedImages

__all__ = ["SHARE", "spotlight"]

SHARE = 0.02
"""Of all images, how many the weights sum up to at least."""

STEPS = 5_000
RATE, PATIENCE, FACTOR = 1e-2, 10, 0.5
FIRST_PRECISION = 1e-4
NO_BETTER = 1e-4
"""Relative, as in the scheduler that the authors use: of a value below 0 it forgives so much."""

SMALLEST = 1e-12


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Light:
    centre: NDArray[np.float64]
    precision: float

    def weights(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        distances = np.square(features - self.centre).sum(axis=1)
        return np.asarray(np.exp(-self.precision * distances / 2))


def spotlight(images: SlicedImages, bank: PhraseBank, *, most: int, seed: int) -> list[ImageSlice]:
    """Return so many spotlights, one after the other; classes are not told apart.

    Source: d'Eon et al. 2022, "The Spotlight" (arXiv 2107.00758). The weighted mean of the loss is
    maximised, weights w = exp(-precision d^2 / 2), while a barrier that narrows keeps their sum above 2 % of
    the images; what a spotlight lights up counts less for the next. Starting point, Adam at 1e-2 and 5,000
    steps are the paper's.
    """
    n = np.arange(len(images.labels))
    losses = -np.log(np.maximum(images.probabilities[n, images.labels], SMALLEST))
    found = []
    for number in range(most):
        light = _brightest(images.features, losses)
        score = functools.partial(_lit, light)
        found.append(ImageSlice(name=f"spotlight {number + 1}", score=score))
        weights = light.weights(images.features)
        losses = losses * (1 - weights / weights.max())
    return found


def _lit(light: _Light, images: SlicedImages) -> NDArray[np.float64]:
    return light.weights(images.features)


def _brightest(features: NDArray[np.floating], losses: NDArray[np.float64]) -> _Light:
    x = features.astype(np.float32)
    squares, least = np.square(x).sum(axis=1), SHARE * len(x)
    place = np.append(np.zeros(x.shape[1]), np.log(FIRST_PRECISION))
    adam, best, waited = _Adam(rate=RATE), np.inf, 0
    for barrier in np.geomspace(len(x) - least, 0.05 * least, STEPS):
        value, slope = _objective(x, squares, losses, place, (least, barrier))
        place = place - adam.step(slope)
        best, waited = (value, 0) if value < best * (1 - NO_BETTER) else (best, waited + 1)
        if waited > PATIENCE:  # what was best is none any more: the barrier has moved on
            adam.rate, best, waited = FACTOR * adam.rate, np.inf, 0
    return _Light(centre=place[:-1], precision=float(np.exp(place[-1])))


def _objective(
    x: NDArray[np.float32],
    squares: NDArray[np.float32],
    losses: NDArray[np.float64],
    place: NDArray[np.float64],
    barrier: tuple[float, float],
) -> tuple[float, NDArray[np.float64]]:
    """Return what is minimised, and its slope in the centre and the logarithm of the precision."""
    centre, precision, (least, width) = place[:-1], np.exp(place[-1]), barrier
    distances = squares - 2 * (x @ centre.astype(np.float32)) + centre @ centre
    weights = np.exp(-precision * distances / 2)
    total = weights.sum()
    mean, short = weights @ losses / total, max(0.0, least + width - total)
    by_weight = -(losses - mean) / total - 2 * short / width**2
    by_distance = by_weight * weights
    towards = x.T @ by_distance.astype(np.float32) - centre * by_distance.sum()
    sharper = -(by_distance @ distances) / 2
    return float(-mean + (short / width) ** 2), precision * np.append(towards, sharper)


@dataclasses.dataclass(slots=True, kw_only=True)
class _Adam:
    """Kingma and Ba 2015, with their own constants but for the rate."""

    rate: float
    first: NDArray[np.float64] | float = 0.0
    second: NDArray[np.float64] | float = 0.0
    steps: int = 0

    def step(self, slope: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is to be taken off."""
        self.steps += 1
        self.first = 0.9 * self.first + 0.1 * slope
        self.second = 0.999 * self.second + 0.001 * np.square(slope)
        first, second = self.first / (1 - 0.9**self.steps), self.second / (1 - 0.999**self.steps)
        return np.asarray(self.rate * first / (np.sqrt(second) + 1e-8))
