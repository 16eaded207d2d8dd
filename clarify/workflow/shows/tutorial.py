"""Two minutes of practice on coloured squares: a failure, its phrase, and what saying it changes.

Nothing here is recorded: the tutorial has a small home of its own, and no runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from clarify.data.parallel import Progress
from clarify.demo.datasets import DATASETS, DemoDataset
from clarify.method.fit.objectives import Erm
from clarify.method.fit.training import fit_head
from clarify.workflow.describe.grouping import in_force
from clarify.workflow.describe.phrases import TriedPhrase, try_phrase
from clarify.workflow.model.failures import Failures, failures_of
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData, Workspace, embed, split_data
from clarify.workflow.retrain import preview
from clarify.workflow.shows.demo import write_demo_data

__all__ = ["CLASS", "PHRASE", "Lesson", "corrected", "practise", "prepare_tutorial"]

CLASS, PHRASE = "square", "red"
SPLITS = ("train", "validation")

WEIGHT_DECAY = 0.3
"""Of the model to be explained: strong, so that it goes the easy way, by the colour."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """Sprites, and a model that goes by their colour.

    Parameters
    ----------
    project : Workspace
        In the tutorial's own home.
    failures : Failures
        What the model gets wrong on validation.
    train : SplitData
        What it was trained on.
    """

    project: Workspace
    failures: Failures
    train: SplitData


def prepare_tutorial(
    home: Path, open_project: Callable[[str], Workspace], *, workers: int, say: Callable[[str], None]
) -> Lesson:
    """Draw the sprites, embed them and train a model; what is there already is used again.

    Parameters
    ----------
    home : Path
        The tutorial's own; it may be deleted at any time.
    open_project : callable
        Builds the adapters for a data set of that home, by name.
    workers : int
        Threads that decode images.
    say : callable
        Told how far it is.

    Raises
    ------
    ClarifyError
        If the home cannot be written.
    """
    say("drawing squares and ellipses")
    # In this process: a server's threads go on, and nothing of it is started a second time.
    name = write_demo_data(
        home, _sprites(), seed=0, workers=1, progress=lambda *_: say("drawing squares and ellipses")
    )
    project = open_project(name)

    def tell(progress: Progress) -> None:
        say(f"{progress.done:,} of {progress.total:,} images looked at")

    embed(project, project.encoder, workers=workers, progress=tell)
    say("training a model")
    train = split_data(project, "train")
    fit = fit_head(train.features, train.labels, project.manifest.classes, Erm(), WEIGHT_DECAY)
    model = Model(run_id="tutorial", name="tutorial", head=fit.head)
    failures = failures_of(model, split_data(project, "validation"))
    return Lesson(project=project, failures=failures, train=train)


def _sprites() -> DemoDataset:
    """Return the sprites without those that only a final test would need."""
    whole = DATASETS["sprites"]
    groups = tuple(group for group in whole.groups if group.split in SPLITS)
    return dataclasses.replace(whole, splits=SPLITS, groups=groups)


def practise(lesson: Lesson, text: str) -> TriedPhrase:
    """Try a phrase on the squares; nothing is recorded.

    Raises
    ------
    PhraseError
        If it is not legal; says where.
    """
    return try_phrase(lesson.project, lesson.failures, CLASS, text, n_tried=1)


def corrected(lesson: Lesson, tried: TriedPhrase) -> Failures:
    """Return what the model gets wrong once it is retrained, as `clarify retrain` does it.

    Raises
    ------
    GroupError
        If no image falls on one side of the phrase.
    """
    splits = {"train": lesson.train, "validation": lesson.failures.data}
    (cut,) = in_force(lesson.project, [tried.description], splits)
    return preview.corrected(lesson.project, lesson.failures, cut, lesson.train)
