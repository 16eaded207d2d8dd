"""Networks: trained by steps on batches, so that the described halves count.

What comes out is a model as any other: a head, on a body that the run brings along. So it is
diagnosed, described, compared, registered and served like a head.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from clarify.embed.networks import Network, network_of, new_network
from clarify.errors import InputError
from clarify.finetune.batches import Balanced, Shuffled
from clarify.finetune.checkpoints import Checkpoints
from clarify.finetune.evaluation import predictions
from clarify.finetune.loop import train
from clarify.finetune.pictures import Pictures
from clarify.finetune.schedule import Schedule
from clarify.finetune.task import Fitted, Task
from clarify.method.fit.selection import ByAverage, ByDescribedWorstGroup, ByWorstClass
from clarify.method.groups.groups import DescribedGroups, described_groups
from clarify.workflow.model.backbones import packed
from clarify.workflow.model.evaluating import all_splits
from clarify.workflow.model.models import Model
from clarify.workflow.model.progress import NetworkSteps, Stage
from clarify.workflow.model.project import SplitData, embed
from clarify.workflow.model.recipe import OBJECTIVES, PARTS, RETRAINING, ObjectiveRow
from clarify.workflow.model.trained import REPORTED, Cost
from clarify.workflow.retrain.engine import BasePlan, Fitting, Means, Training

__all__ = ["Networks"]

WORST_GROUP = "worst group"
"""What an epoch's weights are chosen by."""


class Networks:
    """The engine that trains networks."""

    resumes = True

    def __init__(self, means: Means, *, seeds: int = 1) -> None:
        self._means, self._seeds, self._done = means, seeds, 0
        self._held = contextlib.ExitStack()
        self._steps: NetworkSteps | None = None

    def __enter__(self) -> Networks:
        """Begin."""
        return self

    def __exit__(self, *error: object) -> None:
        """Let others take the checkpoints."""
        self._held.close()

    def base(self, training: Training, plan: BasePlan) -> Fitting | None:
        """Train a network by ERM, the ordinary way.

        The weights are those at the end of the last epoch: nothing of validation is used, since
        people look for failures there.
        """
        classes, splits = training.project.manifest.classes, training.splits
        validation, schedule = splits["validation"], plan.schedule
        network = new_network(
            plan.model,
            classes,
            weights=plan.weights,
            weight_classes=plan.weight_classes,
            size=plan.size,
            seed=schedule.seed,
            as_it_is=schedule.epochs == 0,
        )

        def score(predicted: NDArray[np.int64]) -> dict[str, float]:
            return {
                "average": ByAverage().score(predicted, validation.labels),
                "worst class": ByWorstClass().score(predicted, validation.labels),
            }

        self._steps = NetworkSteps(
            training.project, "base", training.name, training.delivery, self._means.report
        )
        by_class = described_groups(splits["train"].labels, classes, {})
        checkpoints = self._locked(training, training.delivery)
        fitted = self._trained(
            network,
            schedule,
            splits,
            by_class,
            OBJECTIVES["erm"],
            score,
            checkpoints,
            part="whole",
            stage="fit",
        )
        if not self._means.processes.is_first:
            return None
        finished = self._finished(training, network, fitted, schedule, rule="last_epoch", part="whole")
        began = {"weights": network.began} if network.began else {}
        return dataclasses.replace(
            finished, settings={**finished.settings, **began}, notes=network.notes, finish=checkpoints.remove
        )

    def corrected(self, training: Training, seed: int) -> Fitting | None:
        """Train a network on from the base model, and beside it a control with the classes as groups.

        Every step holds as many images of each group, drawn from orders of their own; the weights
        are those of the epoch whose worst described group does best on validation.
        """
        base, recipe = training.base, training.recipe
        if base is None or not base.is_network or base.backbone is None:
            raise _no_network(base)
        usual = recipe.schedule or RETRAINING
        schedule = dataclasses.replace(usual, seed=usual.seed + seed)
        splits, groups, delivery = training.splits, training.groups, training.delivery_of(seed)
        classes, validation = training.project.manifest.classes, splits["validation"]
        by_class = described_groups(splits["train"].labels, classes, {})
        self._steps = NetworkSteps(
            training.project,
            "retraining",
            training.name,
            delivery,
            self._means.report,
            part=2 * self._done,
            parts=2 * self._seeds,
        )
        ways: list[tuple[Stage, DescribedGroups]] = [("fit", groups["train"]), ("control", by_class)]  # type: ignore[list-item]
        found = []
        for stage, counted in ways:
            network = network_of(cast(Any, base.backbone), base.own_head())
            checkpoints = self._locked(training, f"{delivery}-{stage}")
            fitted = self._trained(
                network,
                schedule,
                splits,
                counted,
                OBJECTIVES[recipe.objective],
                _by_groups(validation, groups["validation"]),  # type: ignore[arg-type]
                checkpoints,
                part=recipe.part,
                stage=stage,
            )
            found.append((network, fitted, checkpoints))
        self._done += 1
        if not self._means.processes.is_first:
            return None
        (network, fitted, _), (without, _, _) = found
        control = {}
        for name in (name for name in REPORTED if name in splits):
            with _pictures(splits[name], without, self._means.workers) as pictures:
                control[name] = predictions(without.module, pictures, len(splits[name].labels))
        return dataclasses.replace(
            self._finished(training, network, fitted, schedule, rule=recipe.rule.name, part=recipe.part),
            control=control,
            finish=lambda: _removed(checkpoints for _, _, checkpoints in found),
        )

    def recording(self) -> None:
        """Tell that what was fitted is about to be recorded."""
        if self._steps is not None:
            self._steps.record()

    def _locked(self, training: Training, name: str) -> Checkpoints:
        """Return the checkpoint of a training, kept from others by the first process."""
        checkpoints = Checkpoints(training.project.home / "checkpoints" / name)
        if self._means.processes.is_first:
            self._held.enter_context(checkpoints.locked())
        return checkpoints

    def _trained(
        self,
        network: Network,
        schedule: Schedule,
        splits: Mapping[str, SplitData],
        groups: DescribedGroups,
        objective: ObjectiveRow,
        score: Callable[[NDArray[np.int64]], Mapping[str, float]],
        checkpoints: Checkpoints,
        *,
        part: str,
        stage: Stage,
    ) -> Fitted:
        assert self._steps is not None
        data, validation, workers = splits["train"], splits["validation"], self._means.workers
        with (
            _pictures(data, network, workers, least_crop=schedule.least_crop) as pictures,
            _pictures(validation, network, workers) as held,
        ):
            task = Task(
                pictures=pictures,
                labels=data.labels,
                groups=groups.index,
                group_names=groups.names,
                batches=_batches(objective, groups, schedule),
                objective=objective.batch(groups.counts),
                trainable=_trainable(network, part),
                validation=held,
                validation_count=len(validation.labels),
                score=score,
            )
            return train(
                network,
                task,
                schedule,
                checkpoints=checkpoints,
                processes=self._means.processes,
                progress=self._steps.of(stage),
            )

    def _finished(
        self,
        training: Training,
        network: Network,
        fitted: Fitted,
        schedule: Schedule,
        *,
        rule: str,
        part: str,
    ) -> Fitting:
        """Embed the data set by the network's body, on which its head is then evaluated."""
        body, head = network.body(), network.head()
        embed(training.project, body, workers=self._means.workers, dtype="float32")
        chosen = {name: value for name, value in schedule.to_dict().items() if name != "seed"}
        return Fitting(
            model=Model(run_id="", name=training.name, head=head, backbone=body, is_network=True),
            splits=all_splits(training.project, body),
            settings={
                "objective": "erm" if training.base is None else training.recipe.objective,
                "part": part,
                "model": network.name,
                "weights": network.began,
                **{name: _plain(value) for name, value in chosen.items()},
                "image_size": network.preprocessing.size,
                "steps": fitted.steps,
                "epoch": fitted.best_epoch,
            },
            rule=rule,
            table=tuple((each["epoch"], each[WORST_GROUP]) for each in fitted.history if WORST_GROUP in each),
            cost=Cost.now(seconds=fitted.seconds, parameters=fitted.touched),
            files=packed(body),
            history=fitted.history,
        )


@contextlib.contextmanager
def _pictures(
    data: SplitData, network: Network, workers: int, *, least_crop: float = 1.0
) -> Iterator[Pictures]:
    pictures = Pictures(data.path, data.root, network.preprocessing, workers=workers, least_crop=least_crop)
    try:
        yield pictures
    finally:
        pictures.close()


def _batches(objective: ObjectiveRow, groups: DescribedGroups, schedule: Schedule) -> Shuffled | Balanced:
    if not objective.by_groups:
        return Shuffled(len(groups.index), schedule.batch_size, seed=schedule.seed)
    return Balanced(groups.index, groups.names, schedule.batch_size, seed=schedule.seed)


def _by_groups(
    data: SplitData, groups: DescribedGroups
) -> Callable[[NDArray[np.int64]], Mapping[str, float]]:
    def score(predicted: NDArray[np.int64]) -> dict[str, float]:
        return {
            WORST_GROUP: ByDescribedWorstGroup().score(predicted, data.labels, groups),
            "average": ByAverage().score(predicted, data.labels),
        }

    return score


def _trainable(network: Network, part: str) -> Sequence[str] | None:
    """Return the names of the parameters that change; None for all."""
    count, layers = PARTS[part].layers(part), network.layers()
    if count is None:
        return None
    if count > len(layers):
        raise InputError(
            f"{network.name} has {len(layers)} layers, {count} of them were asked for; "
            f"1 to {len(layers)} are legal"
        )
    return [name for layer in layers[:count] for name in layer]


def _removed(several: Iterable[Checkpoints]) -> None:
    for checkpoints in several:
        checkpoints.remove()


def _no_network(base: Model | None) -> InputError:
    which = "the model" if base is None else f"{base.name} (run {base.run_id[:8]})"
    return InputError(
        f"{which} is a head on features that were not trained here, so there is no network to train on; "
        "retrain its head, or train a network first: clarify train NAME --model timm:MODEL"
    )


def _plain(value: object) -> str | float | int:
    return str(value).lower() if isinstance(value, bool) else value  # type: ignore[return-value]
