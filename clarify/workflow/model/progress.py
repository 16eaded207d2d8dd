"""How far a retraining is, in steps that people can follow."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from clarify.finetune.task import TrainingProgress
from clarify.method.fit.solver import SolverProgress
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups
from clarify.track.live import LiveRun
from clarify.workflow.model.project import Workspace, run_context

__all__ = ["NetworkSteps", "Report", "RetrainingProgress", "Stage", "Steps"]

LIVE_S = 5.0
"""How often MLflow is told of a network."""

Stage: TypeAlias = Literal["read", "fit", "control", "record"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RetrainingProgress:
    """How far a retraining is.

    Parameters
    ----------
    stage : {"read", "fit", "control", "record"}
        Features are read; heads are fitted, one a weight decay; so are those that no phrase was
        needed for; the chosen one is recorded.
    step, steps : int
        Steps done, of how many: 1 for reading, 1 for each head of each seed, 1 for recording.
    losses : mapping of group to float
        Mean cross-entropy of its training images, in nats, where the solver stands now; lower is
        better. Empty where none are known.
    figures : mapping of str to float
        What the last look at validation came to, in [0, 1]; of networks only.
    images_a_second, seconds_left : float or None
        Of networks only.
    """

    stage: Stage
    step: int
    steps: int
    losses: Mapping[str, float] = dataclasses.field(default_factory=dict)
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    images_a_second: float | None = None
    seconds_left: float | None = None


Report: TypeAlias = Callable[[RetrainingProgress], None]


class Steps:
    """Translates what the solver reports into steps of a retraining.

    Parameters
    ----------
    report : callable or None
        Told of every step; None hears nothing, and nothing is computed for it.
    decays : sequence of float
        The weight decays that each sweep goes through, in any order.
    seeds : int
        How many times two sweeps are done.
    """

    def __init__(self, report: Report | None, decays: Sequence[float], *, seeds: int = 1) -> None:
        self._report = report
        self._decays = sorted(decays, reverse=True)
        self._seeds, self._done = seeds, 0

    def read(self) -> None:
        """Tell that features are about to be read."""
        self._tell("read", self._place(0))

    def record(self) -> None:
        """Tell that the chosen head of a seed is about to be recorded."""
        self._done += 1
        self._tell("record", 1 + self._place(0))

    def fit(self, groups: DescribedGroups | AnnotatedGroups) -> Callable[[SolverProgress], None] | None:
        """Return what a seed's first sweep is to report to; `groups` are those of training."""
        if self._report is None:
            return None
        counts = np.maximum(groups.counts, 1)

        def told(progress: SolverProgress) -> None:
            sums = np.bincount(groups.index, progress.example_losses, len(counts))
            losses = dict(zip(groups.names, (sums / counts).tolist(), strict=True))
            self._tell("fit", self._of(progress, 0), losses)

        return told

    def control(self) -> Callable[[SolverProgress], None] | None:
        """Return what a seed's sweep without phrases is to report to."""
        if self._report is None:
            return None
        return lambda progress: self._tell("control", self._of(progress, 1))

    def _of(self, progress: SolverProgress, sweeps: int) -> int:
        """Return which head is fitted, after so many sweeps of the seed."""
        return 1 + self._place(sweeps) + self._decays.index(progress.weight_decay)

    def _place(self, sweeps: int) -> int:
        """Return how many heads are done, after so many sweeps of the seed."""
        return (2 * self._done + sweeps) * len(self._decays)

    def _tell(self, stage: Stage, step: int, losses: Mapping[str, float] | None = None) -> None:
        if self._report is not None:
            steps = 2 + 2 * self._seeds * len(self._decays)
            self._report(RetrainingProgress(stage=stage, step=step, steps=steps, losses=losses or {}))


class NetworkSteps:
    """Translates what trainings of networks report into steps, for whoever waits and for MLflow.

    Parameters
    ----------
    name, delivery : str
        Of the run that it will be.
    part, parts : int
        Trainings done before, of how many.
    """

    def __init__(
        self,
        project: Workspace,
        kind: Literal["base", "retraining"],
        name: str,
        delivery: str,
        report: Report | None,
        *,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self._live = LiveRun(project.tracking, run_context(project, "validation"), kind, name, delivery)
        self._report, self._part, self._parts = report, part, parts
        self._logged = 0.0
        self._tell(RetrainingProgress(stage="read", step=0, steps=1))

    def of(self, stage: Stage) -> Callable[[TrainingProgress], None]:
        """Return what the next training is to report to."""
        part, self._part = self._part, self._part + 1

        def told(progress: TrainingProgress) -> None:
            self._tell(
                RetrainingProgress(
                    stage=stage,
                    step=part * progress.steps + progress.step,
                    steps=self._parts * progress.steps,
                    losses=dict(progress.losses),
                    figures=dict(progress.figures),
                    images_a_second=progress.images_a_second,
                    seconds_left=progress.seconds_left + (self._parts - part - 1) * _whole(progress),
                )
            )
            if stage == "fit" and time.monotonic() - self._logged > LIVE_S:
                self._logged = time.monotonic()
                losses = {f"loss/{name}": value for name, value in progress.losses.items()}
                rate = {"images_a_second": progress.images_a_second}
                self._live.log(progress.step, {**losses, **progress.figures, **rate})

        return told

    def record(self) -> None:
        """Tell that the model is about to be recorded."""
        self._tell(dataclasses.replace(self._last, stage="record", seconds_left=None))

    def _tell(self, progress: RetrainingProgress) -> None:
        self._last = progress
        if self._report is not None:
            self._report(progress)


def _whole(progress: TrainingProgress) -> float:
    """Return about how long a training like this one takes."""
    left = progress.steps - progress.step
    return progress.seconds_left * progress.steps / left if left else 0.0
