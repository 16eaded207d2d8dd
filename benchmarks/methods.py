"""Every head method at the size of Waterbirds: 4,795 images, 1,199 to choose by, 1,024 wide.

Made-up features with Waterbirds' groups: a class that can be told, a place that is easier to see.
One process, one thread of linear algebra, all candidates of the method and the choice among them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from benchmarks.measurement import Measurement
from clarify.evidence.cells import run_method
from clarify.evidence.methods import methods
from clarify.evidence.situation import Situation
from clarify.method.groups.groups import annotated_groups
from clarify.workflow.model.arrays import ArrayData, CallableEncoder, ClassNames, split_of
from clarify.workflow.model.project import SplitData

CLASSES, PLACES = ("landbird", "waterbird"), ("land", "water")
TRAIN = ((3498, 184), (56, 1057))
VALIDATION = ((467, 466), (133, 133))
WIDTH = 1024
SECONDS = 2.0


def measure() -> list[Measurement]:
    at = waterbirds()
    at.base, at.groups  # noqa: B018 - worked out once, for all methods
    found = []
    for method in methods().values():
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

    def view(name: str, counts: tuple[tuple[int, int], ...]) -> SplitData:
        cells = [(k, v, n) for k, row in enumerate(counts) for v, n in enumerate(row)]
        labels = np.concatenate([np.full(n, k) for k, _, n in cells])
        values = np.concatenate([np.full(n, v) for _, v, n in cells])
        features = rng.normal(size=(len(labels), WIDTH))
        features += np.outer(5.0 * (2 * labels - 1), bird) + np.outer(9.0 * (2 * values - 1), place)
        truth = annotated_groups(labels, CLASSES, np.array(PLACES)[values], "place", values=PLACES)
        return split_of(name, features.astype(np.float32), labels, truth=truth)

    directions = {"water": place, "land": -place, "landbird": -bird, "waterbird": bird}

    def encode(phrases: Sequence[str]) -> list[np.ndarray]:
        return [np.sum([directions[word] for word in each.split()], axis=0) for each in phrases]

    return Situation(
        project=ArrayData(
            manifest=ClassNames(name="Waterbirds' size", classes=CLASSES),
            encoder=CallableEncoder(encode=encode, name="made up"),
        ),
        encoder="made up",
        values=PLACES,
        train=view("train", TRAIN),
        validation=view("validation", VALIDATION),
        test=view("test", VALIDATION),
        phrases={"landbird": "water", "waterbird": "land"},
    )
