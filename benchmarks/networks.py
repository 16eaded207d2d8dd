"""A timm network trained from scratch on drawn birds, and corrected from one phrase a class.

`timm:resnet10t` at 64 pixels on Rendered Waterbirds (medium), three seeds: ERM, the last layer
corrected exactly, the whole network trained on by group DRO; on the test split. Then what a step
is made of: how much of it is pictures, what balanced batches cost, what bf16 and torch.compile do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.measurement import Measurement

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from clarify.embed.networks import Network
    from clarify.finetune.batches import Batches
    from clarify.workflow.model.project import Workspace
    from clarify.workflow.model.trained import Trained

DATA_SET, MODEL, SIDE = "rendered-waterbirds-medium", "timm:resnet10t", 64
PHRASES = {"landbird": "water", "waterbird": "land"}
SEEDS = 3
STEPS = 40
WORKERS = 2


def measure() -> list[Measurement]:
    with tempfile.TemporaryDirectory(prefix="clarify-") as folder:
        project = prepared(Path(folder))
        began = time.perf_counter()
        rows = [corrected(project, seed) for seed in range(SEEDS)]
        minutes = (time.perf_counter() - began) / 60
        return [
            *_shape(rows),
            Measurement(
                name="three seeds of training and correcting",
                figure=minutes,
                unit="min",
                target=25,
                holds=minutes < 25,
            ),
            *_steps(project),
        ]


def prepared(home: Path) -> Workspace:
    """Draw the birds and embed them for the phrases."""
    from clarify.assembly import open_project
    from clarify.config import Settings
    from clarify.workflow.model.project import embed
    from clarify.workflow.shows.demo import draw_data_set

    draw_data_set(home, DATA_SET, seed=0, workers=WORKERS)
    project = open_project(Settings(home=home), DATA_SET)
    embed(project, project.encoder, workers=WORKERS)
    return project


def corrected(project: Workspace, seed: int) -> dict[str, Trained]:
    """Train with a seed, describe its failures in one phrase a class, correct it both ways."""
    from clarify.finetune.schedule import Schedule
    from clarify.workflow.describe.recording import score_phrase
    from clarify.workflow.model.failures import failures_of
    from clarify.workflow.model.models import open_model
    from clarify.workflow.model.recipe import Recipe
    from clarify.workflow.retrain.engine import BasePlan, Means
    from clarify.workflow.retrain.retrain import alone, retrain, train

    means = Means(workers=WORKERS)
    plan = BasePlan(model=MODEL, size=SIDE, schedule=Schedule(epochs=8, rate=2e-3, seed=seed))
    erm = alone(train(project, plan, means=means))
    base = open_model(project, erm.model.run_id)
    failures = failures_of(base, base.data(project, "validation"))
    described = [score_phrase(project, failures, *each, keep=True).description for each in PHRASES.items()]
    schedule = Schedule(epochs=4, rate=3e-4, patience=4, seed=seed)
    recipe = Recipe(objective="group_dro", part="whole", schedule=schedule)
    whole = alone(retrain(project, base, described, recipe=recipe, means=means))
    head = alone(retrain(project, base, described, means=means))
    return {"erm": erm, "last layer": head, "whole network": whole}


def _shape(rows: list[dict[str, Trained]]) -> list[Measurement]:
    found = []
    mean: dict[tuple[str, str], float] = {}
    for model in rows[0]:
        for figure in ("average", "adjusted_average", "worst_group"):
            values = [100 * getattr(row[model].evaluations["test"], figure) for row in rows]
            mean[model, figure] = statistics.mean(values)
            name = f"{model}: {figure.replace('_', ' ')}"
            found += [
                Measurement(name=f"{name}, mean", figure=mean[model, figure], unit="%"),
                Measurement(name=f"{name}, deviation", figure=statistics.stdev(values), unit="%"),
            ]
        seconds = statistics.mean(row[model].cost.seconds for row in rows)
        found.append(Measurement(name=f"{model}: fitting", figure=seconds, unit="s"))
    worst = "worst_group"
    below = mean["erm", "adjusted_average"] - mean["erm", worst]
    lift = mean["last layer", worst] - mean["erm", worst]
    further = mean["whole network", worst] - mean["last layer", worst]
    return [
        *found,
        Measurement(
            name="erm: worst group under its adjusted average",
            figure=below,
            unit="points",
            target=20,
            holds=below > 20,
        ),
        Measurement(
            name="last layer over erm, worst group", figure=lift, unit="points", target=20, holds=lift >= 20
        ),
        Measurement(
            name="whole network over last layer, worst group",
            figure=further,
            unit="points",
            target=0,
            holds=further >= 0,
        ),
    ]


def _steps(project: Workspace) -> list[Measurement]:
    """Time steps of one kind against another, in turns."""
    from clarify.finetune.batches import Balanced, Shuffled
    from clarify.workflow.model.project import split_data

    data = split_data(project, "train")
    places = np.unique(data.attributes["place"], return_inverse=True)[1]
    groups = (2 * data.labels + places).astype(np.int64)
    names = ("a", "b", "c", "d")
    count = len(groups)
    ways: dict[str, Callable[[], float]] = {
        "shuffled": lambda: _seconds(data, groups, Shuffled(count, 64, seed=0)),
        "ready pictures": lambda: _seconds(data, groups, Shuffled(count, 64, seed=0), ready=True),
        "balanced": lambda: _seconds(data, groups, Balanced(groups, names, 64, seed=0)),
        "bf16": lambda: _seconds(data, groups, Shuffled(count, 64, seed=0), precision="bf16"),
        "compiled": lambda: _seconds(data, groups, Shuffled(count, 64, seed=0), compiled=True),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):
        for name, way in ways.items():
            took[name].append(way())
    step = {name: min(values) for name, values in took.items()}
    pictures = 1 - step["ready pictures"] / step["shuffled"]
    balanced = step["balanced"] / step["shuffled"] - 1
    return [
        Measurement(name="images a second, fp32", figure=64 / step["shuffled"], unit="1/s"),
        Measurement(
            name="share of a step that is pictures",
            figure=pictures,
            unit="ratio",
            target=0.15,
            holds=pictures < 0.15,
        ),
        Measurement(
            name="balanced batches over shuffled ones, less 1",
            figure=balanced,
            unit="ratio",
            target=0.02,
            holds=balanced < 0.02,
        ),
        Measurement(name="bf16, times as fast", figure=step["shuffled"] / step["bf16"], unit="ratio"),
        Measurement(
            name="torch.compile, times as fast", figure=step["shuffled"] / step["compiled"], unit="ratio"
        ),
    ]


class _Ready:
    """Pictures that are there already."""

    def __init__(self, count: int) -> None:
        import torch

        self._batch = torch.rand(count, 3, SIDE, SIDE)

    def varied(self, rows: list[int], seed: int, step: int) -> Future[torch.Tensor]:
        return self._done(rows)

    def plain(self, rows: list[int]) -> Future[torch.Tensor]:
        return self._done(rows)

    def _done(self, rows: list[int]) -> Future[torch.Tensor]:
        found: Future[torch.Tensor] = Future()
        found.set_result(self._batch[: len(rows)])
        return found


def _seconds(data: Any, groups: Any, batches: Batches, *, ready: bool = False, **own: Any) -> float:
    """Return the median seconds of a step, the first ones left out."""
    from clarify.embed.networks import new_network
    from clarify.finetune.pictures import Pictures

    network = new_network(MODEL, ("a", "b"), size=SIDE)
    pictures: Any = (
        _Ready(64)
        if ready
        else Pictures(data.path, data.root, network.preprocessing, workers=WORKERS, least_crop=0.5)
    )
    took = step_seconds(network, pictures, (data.labels, groups), batches, steps=STEPS, **own)
    if not ready:
        pictures.close()
    return statistics.median(took[9:])


def step_seconds(
    network: Network,
    pictures: Any,
    labels_and_groups: tuple[NDArray[np.int64], NDArray[np.int64]],
    batches: Batches,
    *,
    steps: int,
    trainable: Sequence[str] | None = None,
    **own: Any,
) -> list[float]:
    """Train for some steps; returns the seconds of each after the first. `own` is of the schedule."""
    import clarify.finetune.loop as loop
    from clarify.finetune.processes import Processes
    from clarify.finetune.schedule import Schedule
    from clarify.finetune.task import Task, TrainingProgress
    from clarify.method.fit.minibatch import BatchReweight

    class Over(Exception):
        pass

    at: list[float] = []

    def told(progress: TrainingProgress) -> None:
        at.append(time.perf_counter())
        if len(at) > steps:
            raise Over

    def score(_: object) -> Mapping[str, float]:
        return {"none": 0.0}

    labels, groups = labels_and_groups
    task = Task(
        pictures=pictures,
        labels=labels,
        groups=groups,
        group_names=("a", "b", "c", "d"),
        batches=batches,
        objective=BatchReweight(),
        trainable=trainable,
        validation=pictures,
        validation_count=1,
        score=score,
    )
    loop.REPORT_S = 0.0  # of every step
    plan = dataclasses.replace(Schedule(precision="fp32"), **own)
    with contextlib.suppress(Over):
        loop.train(network, task, plan, checkpoints=None, processes=Processes(), progress=told)
    return [float(each) for each in np.diff(at)]
