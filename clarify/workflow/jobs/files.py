"""A job's files: what was asked for, how far it is, and the lock that tells whether it lives."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Literal, TypeAlias

from clarify.data.files import write_atomically, writing
from clarify.errors import NotFoundError
from clarify.version import __version__
from clarify.workflow.model.recipe import Recipe

__all__ = ["Job", "JobFolder", "JobStatus", "Request", "State", "locked", "now"]

State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled", "killed"]
ACTIVE = ("queued", "running")
SCHEMA_VERSION = 1
ATTEMPTS, PAUSE_S = 10, 0.02
"""To take a lock: whoever only looks whether a job lives holds it for an instant."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a retraining is made of; all of it, so that the same thing is not done twice.

    Parameters
    ----------
    data_set, manifest : str
        Its name, and the digest of its contents.
    base : str
        The base model's run.
    descriptions : tuple of str
        Runs of kept descriptions; sorted here.
    encoder, backbone : str
        By which it was opened where it was asked for; the backbone is empty where it comes with the encoder.
    """

    data_set: str
    manifest: str
    base: str
    descriptions: tuple[str, ...]
    recipe: Recipe
    encoder: str
    backbone: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "descriptions", tuple(sorted(set(self.descriptions))))

    @property
    def digest(self) -> str:
        """Return what names the job: equal for the same thing by the same version of Clarify."""
        text = json.dumps([__version__, dataclasses.asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """How far a job is, as its process wrote it last.

    Parameters
    ----------
    state : State
        Never ``killed`` in the file: a killed process writes nothing.
    step, steps : int
        Steps done, of how many.
    losses : mapping of group to list of float
        Mean cross-entropy in training, in nats, one value a look; all lists are of one length.
    figures : mapping of str to float
        What a network came to on validation when it was looked at last, in [0, 1].
    message : str
        For people: what is done now, or why it failed.
    run : str
        The run that it became; empty until then.
    pid : int
        Of the process; for people who look for it, nothing here uses it.
    at : int
        When this was written, milliseconds since 1970.
    """

    state: State
    step: int = 0
    steps: int = 1
    losses: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    message: str = ""
    run: str = ""
    pid: int = 0
    at: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A retraining that was asked for.

    Parameters
    ----------
    phrases : tuple of (class name, phrase)
    by : str
        Who asked first.
    asked_at : int
        Milliseconds since 1970.
    stopping : bool
        Whether it was asked to end and has not yet.
    """

    request: Request
    phrases: tuple[tuple[str, str], ...]
    by: str
    asked_at: int
    status: JobStatus
    stopping: bool = False

    @property
    def digest(self) -> str:
        """Return its name."""
        return self.request.digest

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.status.state in ACTIVE


class JobFolder:
    """The files of one job."""

    def __init__(self, home: Path, digest: str) -> None:
        self.home, self.digest = home, digest
        self.path = home / "jobs" / digest
        self.cancel = self.path / "cancel"
        self.log = self.path / "log"
        self.lock = self.path / "lock"

    def read(self) -> Job:
        """Return the job as it stands now.

        Raises
        ------
        NotFoundError
            If there is none, or its files cannot be understood.
        """
        try:
            asked = json.loads((self.path / "job.json").read_bytes())
            status = self._status()
            return Job(
                request=_request(asked["wanted"]),
                phrases=tuple((name, phrase) for name, phrase in asked["phrases"]),
                by=str(asked["by"]),
                asked_at=int(asked["asked_at"]),
                status=status,
                stopping=status.state in ACTIVE and self.cancel.exists(),
            )
        except (OSError, ValueError, TypeError, KeyError):
            raise NotFoundError(f"there is no job {self.digest} in {self.path.parent}") from None

    def write(self, job: Job) -> None:
        """Write what is asked for, by whom and when; and how it stands."""
        values = {
            "schema_version": SCHEMA_VERSION,
            "wanted": dataclasses.asdict(job.request),
            "phrases": job.phrases,
            "by": job.by,
            "asked_at": job.asked_at,
        }
        self._write("job.json", values)
        self.write_status(job.status)

    def write_status(self, status: JobStatus) -> None:
        """Write how it stands."""
        values = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(status)}
        self._write("progress.json", values)

    def take(self) -> int | None:
        """Take the lock and return its open file; None while a process holds it."""
        for attempt in range(ATTEMPTS):
            held = locked(self.lock)
            if held is not None:
                return held
            if attempt + 1 < ATTEMPTS:
                time.sleep(PAUSE_S)
        return None

    def lives(self) -> bool:
        """Whether a process holds the lock."""
        held = locked(self.lock, shared=True)
        if held is not None:
            os.close(held)
        return held is None

    def _status(self) -> JobStatus:
        """Return how it stands; killed, where it says that it is at work and nobody is."""
        while True:
            found = self._written()
            if found.state not in ACTIVE or self.lives():
                return found
            if self._written() == found:  # else it ended, or was started again, in between
                return dataclasses.replace(found, state="killed")

    def _written(self) -> JobStatus:
        values = json.loads((self.path / "progress.json").read_bytes())
        del values["schema_version"]
        return JobStatus(**values)

    def _write(self, name: str, values: dict[str, Any]) -> None:
        with writing(self.path, hint="start the retraining again"):
            content = json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
            write_atomically(self.path / name, [content])


def _request(values: dict[str, Any]) -> Request:
    """Return a request; where it was written before schedules were part of recipes, as well."""
    given = dict(values)
    recipe, schedule = given.pop("recipe"), given.pop("schedule", None)
    return Request(recipe=Recipe.from_dict({"schedule": schedule, **recipe}), **given)


def locked(path: Path, *, shared: bool = False) -> int | None:
    """Open a file and lock it until it is closed; None while others hold the lock."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def now() -> int:
    """Return the time in milliseconds since 1970."""
    return int(time.time() * 1000)
