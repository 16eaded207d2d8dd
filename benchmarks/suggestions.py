"""Suggestions: 10,000 phrases scored exactly, near the time of one matrix product and one sort."""

from __future__ import annotations

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
RUNS = 7
MOST_RATIO = 1.3
MOST_PROMISE_S = 8.0
CLASSES, IMAGES_A_CLASS, VOCABULARY = 1_000, 50, 3_000


def unit_rows(rng: np.random.Generator, count: int) -> Singles:
    rows = rng.normal(size=(count, WIDTH)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def processor_seconds(run: Callable[[], object]) -> float:
    """Return what a run takes of all cores: both sides of a ratio may share them otherwise."""
    start = time.process_time()
    run()
    return time.process_time() - start


def least_seconds(phrases: Singles, images: ImagesOfClass) -> tuple[float, float]:
    """Return our processor seconds, and their ratio to a bare product and sort: the least of some runs."""
    ours, bare = [], []
    for _ in range(RUNS):
        bare.append(processor_seconds(lambda: np.sort(phrases @ images.embeddings.T, axis=1)))
        ours.append(processor_seconds(lambda: error_scores(images.similarities(phrases), images.right)))
    return min(ours), min(ours) / min(bare)


def largest_difference(phrases: Singles, images: ImagesOfClass) -> float:
    """Compare with `error_score`, phrase by phrase."""
    similarity = images.similarities(phrases)
    alone = [error_score(row[images.right], row[~images.right]).value for row in similarity]
    return float(np.abs(error_scores(similarity, images.right)[0] - alone).max())


def measure() -> list[Measurement]:
    rng = np.random.default_rng(0)
    phrases = unit_rows(rng, PHRASES)
    images = ImagesOfClass(embeddings=unit_rows(rng, IMAGES), right=rng.random(IMAGES) < 0.85)
    took, ratio = least_seconds(phrases, images)
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
    started = time.process_time()
    ordered = seconds(lambda: promise(phrases[:VOCABULARY], classes))
    of_processors = time.process_time() - started
    large = f"{CLASSES:,} classes x {IMAGES_A_CLASS} images x {VOCABULARY:,} phrases"
    shape = f"{PHRASES:,} phrases x {IMAGES:,} images x {WIDTH}"
    return [
        Measurement(name=f"exact scores, {shape}, of processors", figure=took, unit="s"),
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
            name=f"promise, {large}",
            figure=ordered,
            unit="s",
            target=MOST_PROMISE_S,
            holds=ordered <= MOST_PROMISE_S,
        ),
        Measurement(name=f"promise, {large}, of processors", figure=of_processors, unit="s"),
    ]
