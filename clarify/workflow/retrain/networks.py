"""Train a network on the data set; correct it by training on, so that the described halves count.

What comes out is a model as any other: a head, on a body that the run brings along. So it is
diagnosed, described, compared, registered and served like a head.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.embed.networks import Network, network_of, new_network
from clarify.errors import InputError
from clarify.finetune.batches import Balanced, Shuffled
from clarify.finetune.checkpoints import Checkpoints
from clarify.finetune.evaluation import predictions
from clarify.finetune.loop import train
from clarify.finetune.pictures import Pictures
from clarify.finetune.schedule import Schedule
from clarify.finetune.task import Task
from clarify.method.fit.minibatch import batch_objective
from clarify.method.fit.selection import ByAverage, ByDescribedWorstGroup, ByWorstClass
from clarify.method.groups.groups import DescribedGroups, described_groups
from clarify.workflow.describe.grouping import groups_by_descriptions
from clarify.workflow.model.evaluating import all_splits
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import split_data
from clarify.workflow.model.trained import Trained
from clarify.workflow.retrain.network_runs import (
    WORST_GROUP,
    Asked,
    Told,
    as_before,
    digest_of,
    recorded_network,
    taken,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from clarify.finetune.processes import Processes
    from clarify.finetune.task import Fitted, TrainingProgress
    from clarify.method.fit.minibatch import BatchObjective
    from clarify.method.phrases.descriptions import Description
    from clarify.workflow.model.progress import Report, Stage
    from clarify.workflow.model.project import Project, SplitData
    from clarify.workflow.model.recipe import Recipe

__all__ = ["RETRAINING", "TRAINING", "Plan", "retrain_network", "train_network"]

TRAINING = Schedule(epochs=20, rate=1e-3)
"""For a network that begins at random."""

RETRAINING = Schedule(epochs=10, rate=3e-4, patience=5)
"""For one that was trained: steps short enough to keep what it knows."""

CVAR_LEVEL = 0.1
ADJUSTMENT = 1.0
"""C of group DRO (Sagawa et al. 2020)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A network to train.

    Parameters
    ----------
    model : str
        ``timm:MODEL``.
    schedule : Schedule
        Of no epochs evaluates the weights as they are.
    weights : str
        See `new_network`.
    weight_classes : tuple of str
    size : int or None
        Side of its input in pixels; the model's own unless given.
    """

    model: str
    schedule: Schedule
    weights: str = ""
    weight_classes: tuple[str, ...] = ()
    size: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return dataclasses.asdict(self)


def train_network(
    project: Project, plan: Plan, *, processes: Processes, workers: int, progress: Report | None = None
) -> Trained | None:
    """Train a network by ERM, the ordinary way, and record it as a base model.

    The weights are those at the end of the last epoch: nothing of validation is used, since people
    look for failures there.

    Parameters
    ----------
    project : Project
    plan : Plan
    processes : Processes
        Which of several this is; the first alone records.
    workers : int
        Threads that decode.
    progress : callable, optional
        Told of every step; what it raises ends the training, and the same plan goes on with it.

    Returns
    -------
    Trained or None
        None for other processes than the first.

    Raises
    ------
    InputError, NotFoundError, TrainingError, StoreError
        If the plan, the data or the machine will not do; says which.
    """
    classes = project.manifest.classes
    delivery = digest_of(project, {"train": plan.to_dict()})
    done = project.tracking.delivered(delivery) if processes.is_first else None
    if processes.agreed(done is not None):
        return None if done is None else as_before(project, done, "base")
    train_data, validation = (split_data(project, name) for name in ("train", "validation"))
    network = new_network(
        plan.model,
        classes,
        weights=plan.weights,
        weight_classes=plan.weight_classes,
        size=plan.size,
        seed=plan.schedule.seed,
        as_it_is=plan.schedule.epochs == 0,
    )
    batches = Shuffled(len(train_data.labels), plan.schedule.batch_size, seed=plan.schedule.seed)

    def score(predicted: NDArray[np.int64]) -> dict[str, float]:
        return {
            "average": ByAverage().score(predicted, validation.labels),
            "worst class": ByWorstClass().score(predicted, validation.labels),
        }

    told = Told(project, "base", f"{plan.model}, training", delivery, progress)
    with taken(project, delivery, processes) as checkpoints:
        fitted = _trained(
            network,
            plan.schedule,
            train_data,
            validation,
            workers=workers,
            processes=processes,
            checkpoints=checkpoints,
            progress=told.of("fit", 0, 1),
            batches=batches,
            objective=batch_objective("erm", [len(train_data.labels)]),
            score=score,
            groups=described_groups(train_data.labels, classes, {}),
            trainable=None,
        )
        if not processes.is_first:
            return None
        told.record()
        counts = np.bincount(train_data.labels, minlength=len(classes))
        finished = recorded_network(
            project,
            network,
            fitted,
            plan.schedule,
            name=f"{plan.model} (erm)",
            delivery=delivery,
            workers=workers,
            base=None,
            descriptions=(),
            groups=None,
            asked=Asked(
                settings={"objective": "erm", "part": "whole", "model": plan.model},
                rule="last_epoch",
                group_counts=dict(zip(classes, counts.tolist(), strict=True)),
            ),
        )
        checkpoints.remove()
        return dataclasses.replace(finished, notes=network.notes)


def retrain_network(
    project: Project,
    base: Model,
    descriptions: Sequence[Description],
    *,
    recipe: Recipe,
    schedule: Schedule,
    processes: Processes,
    workers: int,
    progress: Report | None = None,
    delivery: str = "",
) -> Trained | None:
    """Train a network on from a base model, so that the described halves count, and record it.

    Every step holds as many images of each group, drawn from orders of their own; the weights are
    those of the epoch whose worst described group does best on validation. Beside it a control is
    trained in the same way with the classes as groups: what no phrase is needed for.

    Parameters
    ----------
    project, base
        The data set as the base model needs it (`standing_on`), and the base model: a network.
    descriptions : sequence of Description
        At least one, each by the project's encoder and template.
    recipe : Recipe
        Its part is not the head.
    schedule : Schedule
        Of the first seed; further seeds count on from it.
    processes, workers, progress
        As for `train_network`.
    delivery : str
        What names the retraining; by default what it consists of does.

    Returns
    -------
    Trained or None
        Of the first seed; those of the others are its ``repeats``. None for other processes.

    Raises
    ------
    InputError, GroupError, TrainingError, StoreError
        If the phrases, the data or the machine will not do; says which.
    """
    own = delivery or digest_of(
        project, {"retrain": [recipe.digest(base.run_id, descriptions), schedule.to_dict()]}
    )
    found: list[Trained | None] = []
    # The first seed comes last: it is the newest, which later commands take by default.
    for number, seed in enumerate(reversed(range(recipe.seeds))):
        found.append(
            _retrained(
                project,
                base,
                descriptions,
                recipe=recipe,
                seed=seed,
                schedule=dataclasses.replace(schedule, seed=schedule.seed + seed),
                processes=processes,
                workers=workers,
                progress=progress,
                delivery=f"{own}-{seed}" if seed else own,
                place=(number, recipe.seeds),
            )
        )
    first = found[-1]
    if first is None:
        return None
    return dataclasses.replace(
        first, repeats=tuple(each for each in reversed(found[:-1]) if each is not None)
    )


def _retrained(
    project: Project,
    base: Model,
    descriptions: Sequence[Description],
    *,
    recipe: Recipe,
    seed: int,
    schedule: Schedule,
    processes: Processes,
    workers: int,
    progress: Report | None,
    delivery: str,
    place: tuple[int, int],
) -> Trained | None:
    done = project.tracking.delivered(delivery) if processes.is_first else None
    if processes.agreed(done is not None):
        return None if done is None else as_before(project, done, "retraining")
    classes = project.manifest.classes
    splits = all_splits(project)
    groups = groups_by_descriptions(project, descriptions, splits)
    by_class = {name: described_groups(data.labels, classes, {}) for name, data in splits.items()}
    phrases = ", ".join(f"{each.class_name}: {each.phrase}" for each in descriptions)
    name = f"{recipe.objective}, {recipe.part} ({phrases})"
    told = Told(project, "retraining", name, delivery, progress, parts=2 * place[1])
    with contextlib.ExitStack() as stack:
        networks, fits, kept = [], [], []
        ways: list[tuple[Stage, Mapping[str, DescribedGroups]]]
        ways = [("fit", groups), ("control", by_class)]
        for number, (stage, of) in enumerate(ways):
            network = network_of(_body(base), base.own_head())
            checkpoints = stack.enter_context(taken(project, f"{delivery}-{stage}", processes))
            fitted = _trained(
                network,
                schedule,
                splits["train"],
                splits["validation"],
                workers=workers,
                processes=processes,
                checkpoints=checkpoints,
                progress=told.of(stage, 2 * place[0] + number, 2 * place[1]),
                batches=_batches(recipe.objective, of["train"], schedule),
                objective=_objective(recipe.objective, of["train"]),
                score=_by_groups(splits["validation"], groups["validation"]),
                groups=of["train"],
                trainable=_trainable(network, recipe.part),
            )
            networks.append(network)
            fits.append(fitted)
            kept.append(checkpoints)
        if not processes.is_first:
            return None
        told.record()
        validation = splits["validation"]
        with _pictures(validation, networks[1], workers) as pictures:
            control = predictions(networks[1].module, pictures, len(validation.labels))
        counts = dict(zip(groups["train"].names, groups["train"].counts.tolist(), strict=True))
        finished = recorded_network(
            project,
            networks[0],
            fits[0],
            schedule,
            name=name,
            delivery=delivery,
            workers=workers,
            base=base,
            descriptions=descriptions,
            groups=groups,
            asked=Asked(
                settings={
                    "objective": recipe.objective,
                    "part": recipe.part,
                    "model": networks[0].name,
                    "recipe": recipe.digest(base.run_id, descriptions),
                },
                rule=ByDescribedWorstGroup.name,
                group_counts=counts,
                merged=groups["train"].merged,
                before={"base": base.predict(validation), "control": control},
                seed=seed,
            ),
        )
        for checkpoints in kept:
            checkpoints.remove()
        return finished


def _trained(
    network: Network,
    schedule: Schedule,
    data: SplitData,
    validation: SplitData,
    *,
    workers: int,
    processes: Processes,
    checkpoints: Checkpoints,
    progress: Callable[[TrainingProgress], None],
    batches: Shuffled | Balanced,
    objective: BatchObjective,
    score: Callable[[NDArray[np.int64]], Mapping[str, float]],
    groups: DescribedGroups,
    trainable: Sequence[str] | None,
) -> Fitted:
    with (
        _pictures(data, network, workers, least_crop=schedule.least_crop) as pictures,
        _pictures(validation, network, workers) as held,
    ):
        task = Task(
            pictures=pictures,
            labels=data.labels,
            groups=groups.index,
            group_names=groups.names,
            batches=batches,
            objective=objective,
            trainable=trainable,
            validation=held,
            validation_count=len(validation.labels),
            score=score,
        )
        return train(network, task, schedule, checkpoints=checkpoints, processes=processes, progress=progress)


@contextlib.contextmanager
def _pictures(
    data: SplitData, network: Network, workers: int, *, least_crop: float = 1.0
) -> Iterator[Pictures]:
    pictures = Pictures(data.path, data.root, network.preprocessing, workers=workers, least_crop=least_crop)
    try:
        yield pictures
    finally:
        pictures.close()


def _batches(objective: str, groups: DescribedGroups, schedule: Schedule) -> Shuffled | Balanced:
    if objective == "cvar":
        return Shuffled(len(groups.index), schedule.batch_size, seed=schedule.seed)
    return Balanced(groups.index, groups.names, schedule.batch_size, seed=schedule.seed)


def _objective(name: str, groups: DescribedGroups) -> BatchObjective:
    return batch_objective(name, groups.counts, adjustment=ADJUSTMENT, alpha=CVAR_LEVEL)


def _by_groups(
    data: SplitData, groups: DescribedGroups
) -> Callable[[NDArray[np.int64]], Mapping[str, float]]:
    def score(predicted: NDArray[np.int64]) -> dict[str, float]:
        return {
            WORST_GROUP: ByDescribedWorstGroup().score(predicted, data.labels, groups),
            "average": ByAverage().score(predicted, data.labels),
        }

    return score


def _trainable(network: Network, part: str) -> list[str] | None:
    """Return the names of the parameters that change; None for all."""
    if part == "whole":
        return None
    layers = network.layers()
    count = int(part.removeprefix("last-"))
    if count > len(layers):
        raise InputError(
            f"{network.name} has {len(layers)} layers, {count} of them were asked for; "
            f"1 to {len(layers)} are legal"
        )
    return [name for layer in layers[:count] for name in layer]


def _body(base: Model) -> Any:
    if base.backbone is None:
        raise InputError(
            f"{base.name} (run {base.run_id[:8]}) is a head on features that were not trained "
            "here, so there is no network to train on; retrain its head, or train a network first: "
            "clarify train NAME --model timm:MODEL"
        )
    return base.backbone
