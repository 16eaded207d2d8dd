"""Suggestions: 10,000 phrases scored exactly, near the time of one matrix product and one sort."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.measurement import Measurement
from clarify.discover.halves import ImagesOfClass
from clarify.discover.promise import promise
from clarify.discover.suggest import suggest
from clarify.method.phrases.error_score import error_score
from clarify.method.phrases.many_scores import error_scores

Singles = NDArray[np.float32]

PHRASES, IMAGES, WIDTH = 10_000, 1_300, 512
PAIRS = 7
MOST_RATIO = 1.5
CLASSES, IMAGES_A_CLASS, VOCABULARY = 1_000, 50, 3_000


def unit_rows(rng: np.random.Generator, count: int) -> Singles:
    rows = rng.normal(size=(count, WIDTH)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def paired_seconds(phrases: Singles, images: ImagesOfClass) -> tuple[float, float]:
    """Return our seconds, and their ratio to a bare product and sort: medians of paired runs."""
    ours, ratios = [], []
    for _ in range(PAIRS):
        bare = seconds(lambda: np.sort(phrases @ images.embeddings.T, axis=1))
        ours.append(seconds(lambda: error_scores(images.similarities(phrases), images.right)))
        ratios.append(ours[-1] / bare)
    return statistics.median(ours), statistics.median(ratios)


def largest_difference(phrases: Singles, images: ImagesOfClass) -> float:
    """Compare with `error_score`, phrase by phrase."""
    similarity = images.similarities(phrases)
    alone = [error_score(row[images.right], row[~images.right]).value for row in similarity]
    return float(np.abs(error_scores(similarity, images.right)[0] - alone).max())


def measure() -> list[Measurement]:
    rng = np.random.default_rng(0)
    phrases = unit_rows(rng, PHRASES)
    images = ImagesOfClass(embeddings=unit_rows(rng, IMAGES), right=rng.random(IMAGES) < 0.85)
    took, ratio = paired_seconds(phrases, images)
    difference = largest_difference(phrases[:2_000], images)
    names = [f"word {number}" for number in range(PHRASES)]
    searched = seconds(lambda: suggest(names, phrases, images))
    classes = [
        ImagesOfClass(
            embeddings=unit_rows(rng, IMAGES_A_CLASS),
            right=rng.random(IMAGES_A_CLASS) < rng.uniform(0.4, 0.9),
        )
        for _ in range(CLASSES)
    ]
    ordered = seconds(lambda: promise(phrases[:VOCABULARY], classes))
    shape = f"{PHRASES:,} phrases x {IMAGES:,} images x {WIDTH}"
    return [
        Measurement(name=f"exact scores, {shape}", figure=took, unit="s"),
        Measurement(
            name="exact scores, times a bare product and row sort",
            figure=ratio,
            unit="ratio",
            target=MOST_RATIO,
            holds=ratio <= MOST_RATIO,
            ratio_to_limit=ratio,
        ),
        Measurement(
            name="exact scores, largest difference from error_score",
            figure=difference,
            unit="",
            target=1e-12,
            holds=difference <= 1e-12,
        ),
        Measurement(name="suggestions with held-out halves, same size", figure=searched, unit="s"),
        Measurement(
            name=f"promise, {CLASSES:,} classes x {IMAGES_A_CLASS} images x {VOCABULARY:,} phrases",
            figure=ordered,
            unit="s",
        ),
    ]
