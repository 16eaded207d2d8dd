"""What fine-tuning costs a picture at 224 pixels: last layer alone, last two layers, whole network.

EfficientNet-lite0 with its real weights where the extra photos is installed; at random it costs the
same. Steps of 16 pictures, 500 x 375 JPEGs made by code, decoded and varied as in a first epoch. Beside
it what a picture's embedding costs: on features the last layer is solved exactly, and no step is needed.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.embedding import PHOTOS, pictures, timed_extraction
from benchmarks.measurement import Measurement
from benchmarks.networks import WORKERS, step_seconds
from clarify.embed.networks import Network, new_network
from clarify.embed.packages import NETWORKS

if TYPE_CHECKING:
    from clarify.data.manifest import Manifest

BATCH, IMAGES, STEPS = 16, 96, 5
PARTS = {"last layer": 1, "last 2 layers": 2, "whole network": None}


def measure(rounds: int = 3) -> list[Measurement]:
    """Return milliseconds a picture, medians of rounds in which all ways take turns."""
    with tempfile.TemporaryDirectory(prefix="clarify-") as name:
        folder = Path(name)
        manifest = pictures(folder / "jpeg", IMAGES, (500, 375), "jpg")
        body = _network().body()
        took: dict[str, list[float]] = {"embedding": [], **{part: [] for part in PARTS}}
        for _ in range(rounds):
            took["embedding"].append(timed_extraction(body, manifest, folder)[0] / IMAGES)
            for part, count in PARTS.items():
                took[part].append(_a_picture(manifest, count))
    each = {way: 1e3 * statistics.median(seconds) for way, seconds in took.items()}
    return [
        Measurement(name="lite0, embedding a picture, once", figure=each.pop("embedding"), unit="ms"),
        *(
            Measurement(name=f"lite0, a picture of a step, {part}", figure=figure, unit="ms")
            for part, figure in each.items()
        ),
    ]


def _network() -> Network:
    weights = "pretrained" if NETWORKS[PHOTOS].installed() else ""
    return new_network(f"timm:{PHOTOS}", ("a", "b"), weights=weights)


def _a_picture(manifest: Manifest, count: int | None) -> float:
    """Return the seconds that a picture costs where the last `count` layers are trained; None for all."""
    from clarify.finetune.batches import Shuffled
    from clarify.finetune.pictures import Pictures

    network, paths = _network(), manifest.table["path"]
    trainable: Sequence[str] | None = None
    if count is not None:
        trainable = [name for layer in network.layers()[:count] for name in layer]
    given = Pictures(
        lambda row: manifest.root / paths[row],
        manifest.root,
        network.preprocessing,
        workers=WORKERS,
        least_crop=0.5,
    )
    numbers = np.arange(IMAGES)
    labels_and_groups = (numbers % 2, numbers % 4)
    try:
        took = step_seconds(
            network,
            given,
            labels_and_groups,
            Shuffled(IMAGES, BATCH, seed=0),
            steps=STEPS,
            trainable=trainable,
            batch_size=BATCH,
        )
    finally:
        given.close()
    return statistics.median(took) / BATCH
