"""What a training of a network tells while it lasts, keeps between attempts, and records."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from clarify.finetune.checkpoints import Checkpoints
from clarify.track.live import LiveRun
from clarify.workflow.model.backbones import IN_RUN, PLACE, packed
from clarify.workflow.model.evaluating import all_splits, described_evaluations, evaluations_of, half_results
from clarify.workflow.model.models import Model, find_run, open_model, standing_on
from clarify.workflow.model.progress import RetrainingProgress
from clarify.workflow.model.project import embed, run_context
from clarify.workflow.model.trained import Cost, Trained, recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from clarify.embed.networks import Network
    from clarify.finetune.processes import Processes
    from clarify.finetune.schedule import Schedule
    from clarify.finetune.task import Fitted, TrainingProgress
    from clarify.method.groups.groups import DescribedGroups
    from clarify.method.phrases.descriptions import Description
    from clarify.workflow.model.progress import Report, Stage
    from clarify.workflow.model.project import Project

__all__ = ["WORST_GROUP", "Asked", "Told", "as_before", "digest_of", "recorded_network", "taken"]

WORST_GROUP = "worst group"
"""What an epoch's weights are chosen by."""

LIVE_S = 5.0
"""How often MLflow is told."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """What a training was asked for, as far as its record tells."""

    settings: Mapping[str, str | float | int]
    rule: str
    group_counts: dict[str, int]
    merged: tuple[str, ...] = ()
    before: Mapping[str, NDArray[np.int64]] = dataclasses.field(default_factory=dict)
    seed: int = 0


def recorded_network(
    project: Project,
    network: Network,
    fitted: Fitted,
    schedule: Schedule,
    *,
    name: str,
    delivery: str,
    workers: int,
    base: Model | None,
    descriptions: Sequence[Description],
    groups: Mapping[str, DescribedGroups] | None,
    asked: Asked,
) -> Trained:
    """Embed the data set by the network's body, evaluate its head on that, and record both."""
    body, head = network.body(), network.head()
    own = dataclasses.replace(project, backbone=body)
    embed(own, body, workers=workers, dtype="float32")
    splits = all_splits(own)
    model = Model(run_id="", name=name, head=head, backbone=body)
    halves = (
        ()
        if groups is None
        else half_results(
            {**asked.before, "now": model.predict(splits["validation"])},
            splits["validation"],
            groups["validation"],
        )
    )
    trained = Trained(
        model=model,
        settings={
            **asked.settings,
            **{name: _plain(value) for name, value in schedule.to_dict().items() if name != "seed"},
            "image_size": network.preprocessing.size,
            "steps": fitted.steps,
            "epoch": fitted.best_epoch,
            PLACE: IN_RUN,
        },
        rule=asked.rule,
        table=tuple((each["epoch"], each[WORST_GROUP]) for each in fitted.history if WORST_GROUP in each),
        evaluations=evaluations_of(own, splits, model),
        group_counts=asked.group_counts,
        cost=Cost.now(seconds=fitted.seconds, parameters=fitted.touched),
        merged=asked.merged,
        halves=halves,
        seed=asked.seed,
        files=packed(body),
        history=fitted.history,
    )
    return recorded(
        own,
        splits,
        trained,
        descriptions=descriptions,
        base=base,
        delivery=delivery,
        described={} if groups is None else described_evaluations(own, splits, groups, model),
    )


@contextlib.contextmanager
def taken(project: Project, name: str, processes: Processes) -> Iterator[Checkpoints]:
    """Yield the checkpoint of a training, kept from others by the first process."""
    checkpoints = Checkpoints(project.home / "checkpoints" / name)
    if not processes.is_first:
        yield checkpoints
        return
    with checkpoints.taken():
        yield checkpoints


def as_before(project: Project, run_id: str, kind: str) -> Trained:
    """Return what the same training came to when it was done before."""
    run = find_run(project, run_id, kind=kind)
    model = open_model(project, run.id, kind=kind)
    own = standing_on(project, model)
    splits = all_splits(own)
    groups = json.loads(project.tracking.artifact(run.id, "training.json"))["groups"]
    return Trained(
        model=model,
        settings={name: _number(value) for name, value in run.params.items()},
        rule=run.params["selection"],
        table=(),
        evaluations=evaluations_of(own, splits, model),
        group_counts=groups,
        cost=Cost(
            seconds=run.metrics["cost/seconds"],
            peak_memory_mib=run.metrics["cost/peak_memory_mib"],
            parameters=int(run.metrics["cost/parameters"]),
        ),
        seed=int(run.params["seed"]),
        notes=("the same training was done before, and nothing is drawn anew in it",),
    )


def _number(text: str) -> str | float | int:
    """Return a param as the number that it was, if it was one."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def digest_of(project: Project, values: Mapping[str, Any]) -> str:
    """Return what names a training: equal for what is the same in every respect."""
    text = json.dumps([project.manifest.digest, project.encoder.identity.digest, values])
    return f"training-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def _plain(value: object) -> str | float | int:
    return str(value).lower() if isinstance(value, bool) else value  # type: ignore[return-value]


class Told:
    """Tells of steps: to whoever waits, and to MLflow."""

    def __init__(
        self,
        project: Project,
        kind: str,
        name: str,
        delivery: str,
        progress: Report | None,
        *,
        parts: int = 1,
    ) -> None:
        context = run_context(project, "validation")
        self._live = LiveRun(project.tracking, context, kind, name, delivery)
        self._progress, self._parts = progress, parts
        self._logged = 0.0
        self._last = RetrainingProgress(stage="read", step=0, steps=1)
        self._send(self._last)

    def of(self, stage: Stage, part: int, parts: int) -> Callable[[TrainingProgress], None]:
        """Return what one of several trainings is to report to."""

        def told(progress: TrainingProgress) -> None:
            self._last = RetrainingProgress(
                stage=stage,
                step=part * progress.steps + progress.step,
                steps=parts * progress.steps,
                losses=dict(progress.losses),
                figures=dict(progress.figures),
                images_a_second=progress.images_a_second,
                seconds_left=progress.seconds_left + (parts - part - 1) * _whole(progress),
            )
            self._send(self._last)
            if stage == "fit" and (time.monotonic() - self._logged > LIVE_S):
                self._logged = time.monotonic()
                losses = {f"loss/{name}": value for name, value in progress.losses.items()}
                rate = {"images_a_second": progress.images_a_second}
                self._live.log(progress.step, {**losses, **progress.figures, **rate})

        return told

    def record(self) -> None:
        """Tell that the model is about to be recorded."""
        self._send(dataclasses.replace(self._last, stage="record", seconds_left=None))

    def _send(self, progress: RetrainingProgress) -> None:
        if self._progress is not None:
            self._progress(progress)


def _whole(progress: TrainingProgress) -> float:
    """Return about how long a training like this one takes."""
    left = progress.steps - progress.step
    return progress.seconds_left * progress.steps / left if left else 0.0
