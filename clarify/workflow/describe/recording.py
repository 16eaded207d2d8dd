"""What is recorded of phrases: tried ones, descriptions that are kept, and which were used for what."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from clarify.errors import AwayError, InputError, NotFoundError, nearest
from clarify.method.groups.metrics import Side
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.evidence import Evidence
from clarify.track.mlflow import WAITING
from clarify.track.records import description_record, picture_artifacts
from clarify.track.runs import DescriptionRun
from clarify.workflow.describe.choosing import default_runs
from clarify.workflow.describe.phrases import TriedPhrase, try_phrase
from clarify.workflow.describe.tries import descriptions_said, n_tried, suggested
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import Workspace, run_context

__all__ = [
    "ScoredPhrase",
    "attach_pictures",
    "keep_phrase",
    "kept_by",
    "kept_descriptions",
    "record_phrase",
    "score_phrase",
    "take_back",
]

SIDES: tuple[Side, ...] = ("with", "without")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredPhrase:
    """A phrase that was tried, and the run that records it."""

    run_id: str
    tried: TriedPhrase
    kept: bool

    @property
    def description(self) -> Description:
        """The phrase with its cut."""
        return self.tried.description

    @property
    def evidence(self) -> Evidence:
        """Score, p-value corrected for tries, interval, score on the images set aside."""
        return self.tried.evidence

    @property
    def waiting(self) -> bool:
        """Whether it waits in the outbox: the tracking store was away."""
        return self.run_id.startswith(WAITING)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"run": self.run_id, **self.tried.to_dict(), "kept": self.kept}


def score_phrase(
    project: Workspace,
    failures: Failures,
    class_name: str,
    text: str,
    *,
    threshold: float | None = None,
    keep: bool = False,
    note: str = "",
    gain: Callable[[Description], float | None] | None = None,
) -> ScoredPhrase:
    """Try a phrase on a class and record it, corrected for the phrases tried before.

    What a machine searched on the class counts as tried, too. `gain` is asked of one that is kept.

    Raises
    ------
    PhraseError, NotFoundError, NoScoreError, InputError
        As `try_phrase` and `record_phrase`.
    """
    tries = n_tried(project, failures.model, class_name, text)
    tried = try_phrase(project, failures, class_name, text, n_tried=tries, threshold=threshold)
    if not keep:
        return record_phrase(project, failures, tried, keep=False, note=note)
    done, new = keep_phrase(project, failures, tried, note=note, gain=gain)
    if new:
        attach_pictures(project, failures, done)
    return done


def keep_phrase(
    project: Workspace,
    failures: Failures,
    tried: TriedPhrase,
    *,
    note: str = "",
    gain: Callable[[Description], float | None] | None = None,
    said: Callable[[], Iterable[DescriptionRun]] | None = None,
) -> tuple[ScoredPhrase, bool]:
    """Keep a phrase, once however often it is said; returns whether anything was new beside it.

    A reviewer has one kept run of a phrase on a class: with another cut, or another note, the new one takes
    its place. Without a note, that of before stays.

    Parameters
    ----------
    gain : callable, optional
        Asked what retraining with it brings, if it is new.
    said : callable, optional
        Lists what was recorded of phrases; the store is asked unless given.

    Raises
    ------
    InputError, StoreError
        As `record_phrase` and `take_back`.
    """
    what = tried.description
    with _turn(project.reviewer, failures.model.run_id, what.class_name, what.phrase):
        listed = descriptions_said(project, failures.model) if said is None else said()
        before = kept_by(project.reviewer, failures.model, what, listed)
        for run in before:
            if run.threshold == what.threshold and note in ("", run.note):
                return _again(tried, run), False
        brings = None if gain is None else gain(what)
        noted = note or next((run.note for run in before), "")
        done = record_phrase(project, failures, tried, keep=True, note=noted, gain=brings)
        for run in before:
            project.tracking.retag(run.id, "kept", "false")
    return done, True


def kept_by(
    reviewer: str, model: Model, what: Description, said: Iterable[DescriptionRun]
) -> list[DescriptionRun]:
    """Return the runs, newest first, in which a reviewer keeps a phrase of a class of a model."""
    asked = (reviewer, model.run_id, what.class_name, what.phrase, what.encoder)
    return [
        run
        for run in said
        if run.kept and (run.by, run.parent, run.class_name, run.phrase, run.encoder) == asked
    ]


def _again(tried: TriedPhrase, run: DescriptionRun) -> ScoredPhrase:
    described = dataclasses.replace(tried.description, run=run.id, note=run.note)
    return ScoredPhrase(run_id=run.id, tried=dataclasses.replace(tried, description=described), kept=True)


@functools.lru_cache(maxsize=1024)
def _turn(*key: str) -> threading.Lock:
    """Return what two clicks of one person on one phrase take in turn; nobody else waits for it."""
    return threading.Lock()


def record_phrase(
    project: Workspace,
    failures: Failures,
    tried: TriedPhrase,
    *,
    keep: bool,
    note: str = "",
    gain: float | None = None,
) -> ScoredPhrase:
    """Record a phrase that was tried: its score, its evidence, every image's similarity.

    It is acknowledged by that; see `attach_pictures` for what follows.

    Parameters
    ----------
    keep : bool
        Whether the description is kept for retraining; then a chart is recorded as well.
    note : str
        Anything the reviewer wants to remember.
    gain : float, optional
        What retraining with it brings (`clarify.workflow.retrain.gains`); what is retrained with by default
        stands on it.

    Raises
    ------
    InputError
        For a note of more than 2,000 characters.
    """
    if len(note) > 2000:
        raise InputError(f"the note has {len(note)} characters; legal is at most 2000")
    noted = dataclasses.replace(tried, description=dataclasses.replace(tried.description, note=note))
    data, halves = failures.data, noted.halves
    record = description_record(
        run_context(project, data.name),
        description=noted.description,
        evidence=noted.evidence,
        with_phrase=halves.with_phrase,
        without_phrase=halves.without_phrase,
        unknown_words=noted.unknown_words,
        caution=noted.caution,
        similarities=noted.table(data),
        parent=failures.model.run_id,
        kept=keep,
        gain=gain,
        best_score=noted.best_score,
        machine=noted.description.phrase in suggested(project, failures.model, noted.description.class_name),
    )
    run_id = project.tracking.log(record)
    described = dataclasses.replace(noted.description, run=run_id)
    return ScoredPhrase(run_id=run_id, tried=dataclasses.replace(noted, description=described), kept=keep)


def attach_pictures(project: Workspace, failures: Failures, kept: ScoredPhrase, *, seed: int = 0) -> None:
    """Add pictures of both halves to a description that is kept: a person need not wait for them.

    Parameters
    ----------
    seed : int
        Which images they show.

    Raises
    ------
    StoreError
        If the store is broken or full. One that is away says so itself: the description is kept, and whole
        without them.
    """
    pictures = {str(half): kept.tried.grid(project, failures.data, half, seed=seed) for half in SIDES}
    with contextlib.suppress(AwayError):
        project.tracking.attach(kept.run_id, picture_artifacts(pictures))


def take_back(
    project: Workspace, run_id: str, *, said: Callable[[], Iterable[DescriptionRun]] | None = None
) -> None:
    """Keep a description no longer, however often it was kept; its runs stay, as ones that were only tried.

    Parameters
    ----------
    said : callable, optional
        Lists what was recorded of phrases; the store is asked unless given.

    Raises
    ------
    NotFoundError
        If it is not this reviewer's.
    StoreError
        If the store is away, or the description still waits in the outbox.
    """
    name = project.manifest.name
    listed = project.tracking.runs(name, DescriptionRun) if said is None else said()
    mine = [run for run in listed if run.by == project.reviewer]
    asked = next((run for run in mine if run.id == run_id), None)
    if asked is None:
        raise NotFoundError(
            f"data set {name}: no description {run_id[:8]} by {project.reviewer}; only who kept "
            "one takes it back"
        )
    for run in mine:
        same = (run.parent, run.class_name, run.phrase) == (asked.parent, asked.class_name, asked.phrase)
        if run.kept and same:
            project.tracking.retag(run.id, "kept", "false")


def kept_descriptions(project: Workspace, model: Model, runs: Sequence[str] = ()) -> tuple[Description, ...]:
    """Return the descriptions to retrain with, each with its run, so that a lineage finds it again.

    Parameters
    ----------
    project, model
        The data set and the base model that they describe.
    runs : sequence of str
        Runs of kept descriptions, or their first characters; empty takes `default_runs`.

    Raises
    ------
    NotFoundError
        For a run that is no kept description of this model.
    """
    kept = [run for run in descriptions_said(project, model) if run.kept]
    chosen: list[DescriptionRun] = []
    for asked in runs:
        begun = [run for run in kept if run.id.startswith(asked) or asked in run.ids]
        if len(begun) != 1:
            raise NotFoundError(
                f"{len(begun)} kept descriptions of model {model.run_id[:8]} begin {asked!r}; "
                f"{nearest(asked, [run.id[:8] for run in kept])}"
            )
        chosen += begun
    if not runs:
        chosen = default_runs(project, kept)
    chosen.sort(key=lambda run: project.manifest.class_index(run.class_name))
    return tuple(_description(project, run) for run in chosen)


def _description(project: Workspace, run: DescriptionRun) -> Description:
    found = json.loads(project.tracking.artifact(run.id, "description.json"))
    # By its first id, which is known on every machine that a bundle takes it to.
    return Description.from_dict(found | {"run": run.origin})
