"""Every head method at the size of Waterbirds: 4,795 images, 1,199 to choose by, 1,024 wide.

Made-up features with Waterbirds' groups: a class that can be told, a place that is easier to see.
One process, one thread of linear algebra, all candidates of the method and the choice among them.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from benchmarks.measurement import Measurement
from clarify.evidence.cells import run_method
from clarify.evidence.methods import METHODS
from clarify.evidence.situation import Situation, View
from clarify.method.groups.groups import annotated_groups

CLASSES, PLACES = ("landbird", "waterbird"), ("land", "water")
TRAIN = ((3498, 184), (56, 1057))
VALIDATION = ((467, 466), (133, 133))
WIDTH = 1024
SECONDS = 2.0


def measure() -> list[Measurement]:
    at = waterbirds()
    at.base, at.described  # noqa: B018 - worked out once, for all methods
    found = []
    for method in METHODS.values():
        took = []
        for _ in range(2):
            began = time.perf_counter()
            run_method(at, method)
            took.append(time.perf_counter() - began)
        seconds = min(took)
        found.append(
            Measurement(name=method.name, figure=seconds, unit="s", target=SECONDS, holds=seconds < SECONDS)
        )
    return found


def waterbirds(seed: int = 0) -> Situation:
    """Return made-up features with the groups of Waterbirds."""
    rng = np.random.default_rng(seed)
    bird, place = rng.normal(size=(2, WIDTH)) / np.sqrt(WIDTH)

    def view(counts: tuple[tuple[int, int], ...]) -> View:
        cells = [(k, v, n) for k, row in enumerate(counts) for v, n in enumerate(row)]
        labels = np.concatenate([np.full(n, k) for k, _, n in cells])
        values = np.concatenate([np.full(n, v) for _, v, n in cells])
        features = rng.normal(size=(len(labels), WIDTH))
        features += np.outer(5.0 * (2 * labels - 1), bird) + np.outer(9.0 * (2 * values - 1), place)
        rows = features.astype(np.float32)
        truth = annotated_groups(labels, CLASSES, np.array(PLACES)[values], "place", values=PLACES)
        return View(features=rows, embeddings=rows, labels=labels, truth=truth)

    directions = {"water": place, "land": -place, "landbird": -bird, "waterbird": bird}

    def encode(phrases: object) -> np.ndarray:
        told = [sum(directions[word] for word in str(each).split()) for each in phrases]  # type: ignore[attr-defined]
        return np.array(told, dtype=np.float32)

    return Situation(
        data_set="Waterbirds' size",
        encoder="made up",
        classes=CLASSES,
        values=PLACES,
        train=view(TRAIN),
        validation=view(VALIDATION),
        test=view(VALIDATION),
        phrases={"landbird": "water", "waterbird": "land"},
        encode=encode,
    )
