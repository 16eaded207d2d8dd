"""What every training is given and what it comes to: one interface for heads and for networks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from clarify.finetune.processes import Processes
from clarify.finetune.schedule import Schedule
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups
from clarify.method.phrases.descriptions import Description
from clarify.track.artifacts import Artifact
from clarify.workflow.describe.grouping import groups_by_descriptions, in_force
from clarify.workflow.model.evaluating import all_splits, annotated_groups
from clarify.workflow.model.models import Model
from clarify.workflow.model.progress import Report
from clarify.workflow.model.project import SplitData, Workspace
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.model.trained import Cost
from clarify.workflow.retrain.judged import Predicted

__all__ = ["BasePlan", "Engine", "Fitting", "Means", "Training"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a training may use, and who hears of it.

    Parameters
    ----------
    processes : Processes
        Which of several this is; the first alone records.
    workers : int
        Threads that decode images.
    report : callable or None
        Told of every step; what it raises ends the training.
    """

    processes: Processes = dataclasses.field(default_factory=Processes)
    workers: int = 2
    report: Report | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BasePlan:
    """A base model to train.

    Parameters
    ----------
    model : str
        ``timm:MODEL``; empty is a head on the backbone's features.
    schedule : Schedule
        Of no epochs evaluates the weights as they are; of a head its seed alone matters.
    weights : str
        See `new_network`.
    size : int or None
        Side of its input in pixels; the model's own unless given.
    """

    model: str = ""
    schedule: Schedule = dataclasses.field(default_factory=Schedule)
    weights: str = ""
    weight_classes: tuple[str, ...] = ()
    size: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """What is to be trained.

    Parameters
    ----------
    name : str
        For people; the run's.
    delivery : str
        Equal for every attempt at its first seed.
    base : Model or None
        What it is retrained from; None for a base model.
    by_annotations : bool
        Whether the annotated groups count instead of the described ones: an oracle.
    """

    project: Workspace
    name: str
    delivery: str
    base: Model | None = None
    descriptions: Sequence[Description] = ()
    recipe: Recipe = dataclasses.field(default_factory=Recipe)
    by_annotations: bool = False

    def delivery_of(self, seed: int) -> str:
        """Return what is equal for every attempt at one of its seeds."""
        return f"{self.delivery}-{seed}" if seed else self.delivery

    @property
    def is_oracle(self) -> bool:
        """Whether annotated groups train or choose it."""
        return self.by_annotations or self.recipe.rule.oracle

    @functools.cached_property
    def splits(self) -> dict[str, SplitData]:
        """Every split, as the base model takes it."""
        return all_splits(self.project, None if self.base is None else self.base.body(self.project))

    @functools.cached_property
    def groups(self) -> Mapping[str, DescribedGroups] | Mapping[str, AnnotatedGroups]:
        """The groups that count, of every split.

        Raises
        ------
        InputError, GroupError
            As `groups_by_descriptions`; without annotations where they are to count.
        """
        if self.is_oracle:
            annotated = annotated_groups(self.project.manifest.name, self.splits)
            if self.by_annotations:
                return annotated
        return groups_by_descriptions(self.project, self.in_force, self.splits)

    @functools.cached_property
    def in_force(self) -> list[Description]:
        """The descriptions, with the cuts that are used; none where annotations count."""
        if self.by_annotations or not self.descriptions:
            return []
        return in_force(self.project, self.descriptions, self.splits)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitting:
    """What an engine comes to, before it is evaluated and recorded.

    Parameters
    ----------
    model : Model
        Without a run yet.
    splits : mapping of split to SplitData
        As that model takes them.
    control : mapping of split to (N,) int64
        The control's classes of the images of those splits that are reported; empty of a base model.
    crossed : Predicted or None
        Of the training images, by heads that were not fitted to them, where the gate needs it.
    settings, rule, table, held_out, files, history, notes
        See `Trained`.
    finish : callable
        Called once it is recorded.
    """

    model: Model
    splits: Mapping[str, SplitData]
    settings: Mapping[str, str | float | int]
    rule: str
    table: tuple[tuple[float, float], ...]
    cost: Cost
    control: Mapping[str, NDArray[np.int64]] = dataclasses.field(default_factory=dict)
    held_out: NDArray[np.float64] | None = None
    crossed: Predicted | None = None
    files: tuple[Artifact, ...] = ()
    history: tuple[Mapping[str, float], ...] = ()
    notes: tuple[str, ...] = ()
    finish: Callable[[], None] = lambda: None


class Engine(Protocol):
    """Fits models: a context in which what it holds on disk is its own.

    ``resumes`` tells whether a training that was cut short goes on: it is then known by what it
    consists of, and the same one is not done twice.
    """

    resumes: bool

    def __enter__(self) -> Engine:
        """Begin."""

    def __exit__(self, *error: object) -> None:
        """Let go of what it holds."""

    def base(self, training: Training, plan: BasePlan) -> Fitting | None:
        """Train a base model; None for other processes than the first."""

    def corrected(self, training: Training, seed: int) -> Fitting | None:
        """Train a correction and its control; None for other processes than the first."""

    def recording(self) -> None:
        """Tell that what was fitted is about to be recorded."""
