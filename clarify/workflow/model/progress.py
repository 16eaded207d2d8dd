"""How far a retraining is, in steps that people can follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from clarify.method.fit.training import SolverProgress
    from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups

__all__ = ["Report", "RetrainingProgress", "Stage", "Steps"]

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
        self._heads = 2 * len(self._decays) * seeds

    def read(self) -> None:
        """Tell that features are about to be read."""
        self._tell("read", 0)

    def record(self) -> None:
        """Tell that the chosen head is about to be recorded."""
        self._tell("record", 1 + self._heads)

    def fit(
        self, groups: DescribedGroups | AnnotatedGroups, seed: int
    ) -> Callable[[SolverProgress], None] | None:
        """Return what a seed's first sweep is to report to; `groups` are those of training."""
        if self._report is None:
            return None
        counts = np.maximum(groups.counts, 1)

        def told(progress: SolverProgress) -> None:
            sums = np.bincount(groups.index, progress.example_losses, len(counts))
            losses = dict(zip(groups.names, (sums / counts).tolist(), strict=True))
            self._tell("fit", self._place(progress, 2 * seed), losses)

        return told

    def control(self, seed: int) -> Callable[[SolverProgress], None] | None:
        """Return what a seed's sweep without phrases is to report to."""
        if self._report is None:
            return None
        return lambda progress: self._tell("control", self._place(progress, 2 * seed + 1))

    def _place(self, progress: SolverProgress, sweeps: int) -> int:
        """Return which head is fitted, after so many sweeps."""
        return 1 + sweeps * len(self._decays) + self._decays.index(progress.weight_decay)

    def _tell(self, stage: Stage, step: int, losses: Mapping[str, float] | None = None) -> None:
        if self._report is not None:
            self._report(
                RetrainingProgress(stage=stage, step=step, steps=2 + self._heads, losses=losses or {})
            )
