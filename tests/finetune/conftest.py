"""A tiny network of timm and a few drawn squares: everything that a training needs, in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clarify.embed.networks import Network, new_network
from clarify.finetune.batches import Balanced, Batches, Shuffled
from clarify.finetune.checkpoints import Checkpoints
from clarify.finetune.loop import train
from clarify.finetune.pictures import Pictures
from clarify.finetune.processes import Processes
from clarify.finetune.schedule import Schedule
from clarify.finetune.task import Fitted, Task
from clarify.workflow.model.recipe import OBJECTIVES

COUNT, SIDE = 48, 32
CLASSES = ("dark", "light")
GROUPS = ("dark · red", "dark · blue", "light · red", "light · blue")
LABELS = np.arange(COUNT) % 2
COLOURS = (np.arange(COUNT) // 2) % 4 == 0
GROUP_OF = (2 * LABELS + COLOURS).astype(np.int64)


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of two classes, dark and light, some red and most blue."""
    folder = tmp_path_factory.mktemp("squares")
    rng = np.random.default_rng(0)
    for row in range(COUNT):
        pixels = rng.integers(0, 60, (40, 40, 3))
        pixels += 120 * int(LABELS[row])
        pixels[..., 0 if COLOURS[row] else 2] += 60
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{row}.png")
    return folder


@pytest.fixture
def pictures(squares: Path) -> Iterator[Any]:
    made = []

    def make(network: Network, *, least_crop: float = 0.5) -> Pictures:
        made.append(
            Pictures(
                lambda row: squares / f"{row}.png",
                squares,
                network.preprocessing,
                workers=2,
                least_crop=least_crop,
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


def tiny(seed: int = 0, model: str = "timm:test_vit") -> Network:
    return new_network(model, CLASSES, size=SIDE, seed=seed)


def task_of(
    network: Network,
    pictures: Any,
    *,
    objective: str = "reweight",
    batches: Batches | None = None,
    trainable: list[str] | None = None,
) -> Task:
    counts = np.bincount(GROUP_OF, minlength=4)
    return Task(
        pictures=pictures(network),
        labels=LABELS,
        groups=GROUP_OF,
        group_names=GROUPS,
        batches=batches or Balanced(GROUP_OF, GROUPS, 8, seed=0),
        objective=OBJECTIVES[objective].batch(counts),
        trainable=trainable,
        validation=pictures(network),
        validation_count=COUNT,
        score=lambda predicted: {"right": float((predicted == LABELS).mean())},
    )


def schedule(**own: Any) -> Schedule:
    return Schedule(**{"epochs": 2, "batch_size": 8, "rate": 1e-3, "seed": 3, **own})


def fit(network: Network, task: Task, plan: Schedule, folder: Path | None = None, **own: Any) -> Fitted:
    return train(
        network,
        task,
        plan,
        processes=own.pop("processes", Processes()),
        checkpoints=None if folder is None else Checkpoints(folder),
        **own,
    )


def shuffled(size: int = 8) -> Shuffled:
    return Shuffled(COUNT, size, seed=0)


def state_of(network: Network) -> dict[str, np.ndarray]:
    return {name: each.numpy().copy() for name, each in network.module.state_dict().items()}
