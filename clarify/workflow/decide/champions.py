"""How the registry stands: the champion, the history of champions, where a model comes from."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from filelock import FileLock, Timeout

from clarify.errors import InputError, NotFoundError, StoreError, nearest, shown
from clarify.method.phrases.descriptions import Description
from clarify.track.history import Event, events_of, promoted_last
from clarify.track.registry import Version, crown, version_of, versions
from clarify.track.runs import BaseRun, DescriptionRun, ModelRun, RunOf
from clarify.workflow.model.project import Workspace, model_name, run_context

__all__ = [
    "Described",
    "Event",
    "Lineage",
    "RegistryState",
    "lineage",
    "loading",
    "registry_state",
    "rollback",
    "snippet",
    "turn",
]

TURN_S = 60.0
"""How long one change of the champion waits for another; each takes well under a second."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RegistryState:
    """A data set's model in the registry.

    Parameters
    ----------
    versions : tuple of Version
        Newest first, those that the gate refused among them.
    events : tuple of Event
        Every promotion and roll back, newest first.
    """

    model_name: str
    versions: tuple[Version, ...]
    champion: Version | None
    events: tuple[Event, ...]

    @property
    def uncrowned(self) -> str:
        """Return the version that was promoted last, where no version is champion; else empty.

        Something else than Clarify took the alias off then, or a promotion was killed before it was on.
        """
        if self.champion is not None:
            return ""
        return promoted_last(self.events, {each.version for each in self.versions})

    @property
    def crowning(self) -> Event | None:
        """Return what made the champion so; None if something else than Clarify did."""
        if self.champion is None or not self.events or not self.events[0].done:
            return None
        return self.events[0]

    @property
    def earlier(self) -> tuple[str, ...]:
        """Return the versions that were champion before, newest first: one can roll back to."""
        now = self.champion.version if self.champion else ""
        known = {each.version for each in self.versions}
        been = {each.to_version for each in self.events if each.done}
        been |= {each.from_version for each in self.events} | {self.uncrowned}
        return tuple(sorted((been & known) - {now}, key=int, reverse=True))

    @property
    def before(self) -> str | None:
        """Return the champion that the present one followed when it was first promoted."""
        now = self.champion.version if self.champion else ""
        for each in self.events:
            if each.done and each.action == "promotion" and each.to_version == now:
                return each.from_version if each.from_version in self.earlier else None
        return None

    def version(self, number: str) -> Version | None:
        """Return a version; None if there is none, or it was made by something else."""
        return next((each for each in self.versions if each.version == number), None)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "model": self.model_name,
            "champion": self.champion.version if self.champion else None,
            "roll_back_to": list(self.earlier),
            "history": [each.to_dict() for each in self.events],
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A description that a model was retrained with.

    Parameters
    ----------
    description : Description
        The phrase, with its author, date and note.
    score : float or None
        Its error score when it was kept; None if its run is gone, or the model's record is of a
        time when it did not name the runs.
    """

    description: Description
    score: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a retrained model comes from.

    Parameters
    ----------
    run : ModelRun
        The retraining.
    base : BaseRun or None
        What it was retrained from; None if that run is gone.
    data_set, digest : str
        The manifest's name and hash.
    encoder, backbone : str
        Digests of what embeds phrases, and of what the head stands on.
    """

    run: ModelRun
    base: BaseRun | None
    described: tuple[Described, ...]
    data_set: str
    digest: str
    encoder: str
    backbone: str
    code_version: str


def registry_state(project: Workspace) -> RegistryState:
    """Return how a data set's model stands in the registry.

    Raises
    ------
    StoreError
        If the store cannot be read; AwayError if it does not answer.
    """
    name = model_name(project)
    champion = version_of(project.tracking, name)
    now = champion.version if champion else ""
    return RegistryState(
        model_name=name,
        versions=versions(project.tracking, name),
        champion=champion,
        events=events_of(project.tracking, project.manifest.name, name, now),
    )


@contextlib.contextmanager
def turn(project: Workspace) -> Iterator[None]:
    """Let one change of the champion happen at a time, among all processes of a home.

    Raises
    ------
    StoreError
        If another does not come to an end.
    """
    place = project.home / "mlruns"
    place.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(place / f".{model_name(project)}.lock", timeout=TURN_S):
            yield
    except Timeout:
        raise StoreError(
            f"the champion of {project.manifest.name} is being changed by another process for "
            f"{TURN_S:.0f} seconds already; look who, then try again"
        ) from None


def rollback(project: Workspace, to: str | None = None, *, note: str = "") -> Event:
    """Make an earlier champion the champion again, and write that into the history.

    Parameters
    ----------
    to : str or None
        Its version; None is the champion that the present one followed, or, where no version holds
        the alias (any more), the one that was promoted last.
    note : str
        Why.

    Raises
    ------
    NotFoundError
        If there was no champion, none before it, or `to` was never champion.
    InputError
        If `to` is champion already, or for a note of more than 2,000 characters.
    """
    with turn(project):
        version = _earlier(project, registry_state(project), to)
        context = run_context(project, "validation")
        return crown(project.tracking, version, context, action="rollback", note=note)


def _earlier(project: Workspace, now: RegistryState, to: str | None) -> Version:
    name = f"model {now.model_name}"
    champion = now.champion.version if now.champion else ""
    if not champion and not now.uncrowned:
        raise NotFoundError(
            f"{name} has no champion to roll back from; run: clarify promote {project.manifest.name}"
        )
    wanted = to.removeprefix("v") if to is not None else now.uncrowned or now.before
    if wanted is None:
        raise NotFoundError(
            f"{name}: there was no champion before version {champion}; promote another model instead"
        )
    if wanted == champion:
        raise InputError(f"{name}: version {wanted} is the champion already; nothing was changed")
    found = now.version(wanted)
    if found is None or wanted not in now.earlier:
        raise NotFoundError(
            f"{name}: version {shown(to)} was never its champion; {nearest(wanted, now.earlier)}"
        )
    return found


def lineage(project: Workspace, run_id: str) -> Lineage:
    """Return where a retrained model comes from, down to the phrases and their authors.

    Raises
    ------
    NotFoundError
        If the run is not among the data set's retrainings (any more).
    """
    name = project.manifest.name
    run = _of_id(project.tracking.runs(name, ModelRun), run_id)
    if run is None:
        raise NotFoundError(
            f"run {run_id[:8]} of the registered model is not in the tracking store any more; "
            "restore it in MLflow, or promote another"
        )
    recorded = json.loads(project.tracking.artifact(run.id, "descriptions.json"))
    tried = project.tracking.runs(name, DescriptionRun)
    return Lineage(
        run=run,
        base=_of_id(project.tracking.runs(name, BaseRun), run.parent),
        described=tuple(_described(Description.from_dict(each), tried) for each in recorded),
        data_set=name,
        digest=run.manifest,
        encoder=run.encoder,
        backbone=run.backbone,
        code_version=run.code_version,
    )


def snippet(project: Workspace) -> str:
    """Return the Python that loads the champion; a password in the store's address is hidden."""
    first, _, rest = loading(project).partition("\n\n")
    return f'{first}\n\nmlflow.set_tracking_uri("{project.tracking.address.shown}")\n{rest}'


def loading(project: Workspace) -> str:
    """Return the same for whoever told MLflow where the store is: it names no place."""
    return f'import mlflow\n\nmodel = mlflow.pyfunc.load_model("models:/{model_name(project)}@champion")\n'


def _of_id(runs: list[RunOf], run_id: str) -> RunOf | None:
    return next((run for run in runs if run.id == run_id), None)


def _described(what: Description, tried: list[DescriptionRun]) -> Described:
    run = next((run for run in tried if what.run in run.ids), None)
    return Described(description=what, score=None if run is None else run.score)
