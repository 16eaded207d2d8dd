"""The tracking store: MLflow, whether in the home's SQLite, in PostgreSQL or behind a server.

What differs by kind is in `sqlite.py`, `postgresql.py` and `server.py`; here is what is common:
runs are written once and whole, read back, copied where the store is elsewhere, and descriptions
wait in the outbox while it is away.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clarify.errors import AwayError, NotFoundError, StoreError
from clarify.track.address import read_address
from clarify.track.backend import LocalFiles
from clarify.track.backends import backend_of
from clarify.track.connection import ATTEMPTS, CALL_S, FILES_S, Connection
from clarify.track.copies import Copies
from clarify.track.deliveries import Deliveries
from clarify.track.outbox import Entry, Outbox
from clarify.track.pages import CONTENT, with_pictures
from clarify.track.record import RunRecord
from clarify.track.run import (
    PREFIX,
    WAITING,
    StoredRun,
    after_newest,
    completed,
    end_abandoned,
    now,
    search,
    write_once,
)
from clarify.track.runs import read_run

if TYPE_CHECKING:
    import mlflow.entities
    from mlflow import MlflowClient

    from clarify.track.artifacts import Artifact
    from clarify.track.runs import Run, RunOf

__all__ = ["PREFIX", "WAITING", "TrackingStore"]

DESCRIPTION_SECONDS = 10.0
"""A description waits no longer for the store than this, and then in the outbox."""

DELIVERY_SECONDS = 0.5
"""What waits is delivered by the way: a store that is busy is left alone."""

MODEL = "model-"
"""How the folders of registered models begin, among a run's files."""

T = TypeVar("T")


class TrackingStore:
    """Where the runs of a home are kept, opened (and made) when first used.

    Parameters
    ----------
    home : Path
        The home. Without `uri` the database is ``mlruns/mlflow.db`` in it, artifacts lie in
        ``mlruns/artifacts``.
    uri : str
        ``postgresql://...``, ``http://...`` of an MLflow server, or ``sqlite:////...``.
    patience : float
        Seconds to wait for another process that is writing.
    say : callable or None
        Told in one line what takes long, and when the store is found to be away.

    Raises
    ------
    InputError
        For another address.
    """

    def __init__(
        self, home: Path, *, uri: str = "", patience: float = 60.0, say: Callable[[str], None] | None = None
    ) -> None:
        home = Path(home).absolute()
        self.address = read_address(uri, home)
        self.uri = self.address.uri
        self.patience = patience
        self.outbox = Outbox(home)
        self.backend = backend_of(self.address, home)
        self.meant_for = self.address.shown if uri.strip() else ""
        self._tidied = False
        self._copies = Copies(home, self.address.shown)
        self._connection = Connection(self.backend, say=say or (lambda line: None), then=self.deliver)
        self._deliveries = Deliveries(
            self.outbox,
            self.meant_for,
            reach=lambda: self.backend.reach(DELIVERY_SECONDS),
            write=self._write_waiting,
        )

    @property
    def away(self) -> str:
        """Why the store could not be reached when it was last needed; empty if it was."""
        return self._connection.away

    @property
    def client(self) -> MlflowClient:
        """MLflow's client on this store; see `open`."""
        return self.open()

    def open(self) -> MlflowClient:
        """Open the store, made first where there is none, and return MLflow's client on it.

        Descriptions that wait are delivered by the way.

        Raises
        ------
        AwayError
            If it does not answer.
        StoreError
            If the store is broken, of another version, moved, or cannot be written.
        """
        return self._connection.open()

    def log(self, record: RunRecord) -> str:
        """Write a run whole, and return its id; a run cut short is never listed.

        A description that cannot be written now is kept in the outbox, and gets the id
        ``waiting-...``.

        Raises
        ------
        AwayError
            If the store does not answer; not for a description.
        StoreError
            If the store cannot be written, or no room is left for the outbox.
        """
        delivery, at = uuid.uuid4().hex, now()
        may_wait = record.kind == "description"
        patience = min(self.patience, DESCRIPTION_SECONDS) if may_wait else self.patience
        try:
            with self._connection.turn(patience):
                self.open()
                self._connection.reach(patience)
                self.deliver()
                self._tidy(patience)
                if not may_wait:
                    of = record.tags["data_set"]
                    at = self._trying(lambda _: after_newest(self.client, self.backend, of, at))
                return self._trying(
                    lambda attempt: write_once(
                        self.client, self.backend, record, delivery, at=at, first=attempt == 0
                    ),
                    attempts=2 if may_wait else ATTEMPTS,
                    seconds=self._soon if may_wait else FILES_S,
                )
        except AwayError:
            if not may_wait:
                raise
        entry = Entry(delivery=delivery, store=self.meant_for, at=at, record=record)
        self.outbox.put(entry)
        return entry.run_id

    def attach(self, run_id: str, artifacts: Sequence[Artifact]) -> None:
        """Add files to a run that was not to wait for them; once it waits no longer, to what it became.

        Raises
        ------
        AwayError, StoreError
            If it cannot be written; the run is whole without it.
        """
        if run_id.startswith(WAITING) and self._deliveries.attach(run_id, artifacts, patience=self.patience):
            return
        with self._connection.turn(self.patience):
            run = self._run(self._delivered(run_id))
            note = run.data.tags.get(CONTENT, "")
            self._trying(lambda _: self.backend.write(run, artifacts), seconds=FILES_S)
            if (whole := with_pictures(note, artifacts, run.info.run_id)) != note:
                self._trying(lambda _: self.client.set_tag(run.info.run_id, CONTENT, whole))

    def adopt(self, record: RunRecord, *, delivery: str, at: int) -> str:
        """Write a run that was made elsewhere, once however often it is tried; return its id.

        Parameters
        ----------
        delivery : str
            Equal for every attempt: the id that it had elsewhere.
        at : int
            When it began, milliseconds since 1970.

        Raises AwayError, StoreError as `log`; nothing waits in the outbox.
        """
        with self._connection.turn(self.patience):
            self.open()
            self._connection.reach(self.patience)
            self.deliver()
            return self._trying(
                lambda _: write_once(self.client, self.backend, record, delivery, at=at, first=False),
                seconds=FILES_S,
            )

    def delivered(self, delivery: str) -> str | None:
        """Return the run that a delivery became; None if it did not arrive yet.

        Raises
        ------
        AwayError, StoreError
            If the store cannot be asked.
        """
        if not self._connection.opened and not self.backend.made():
            return None
        return self._trying(lambda _: completed(self.client, delivery))

    def deliver(self) -> int:
        """Write what waits in the outbox to the store; see `Deliveries.deliver`."""
        return self._deliveries.deliver()

    def stamp(self) -> object | None:
        """Return what differs once anybody has written to the store; None where only asking tells.

        Cheap: it reads no run.
        """
        files = self.backend.stamp()
        return None if files is None else (files, tuple(self.outbox.names()))

    def runs(self, data_set: str, of: type[RunOf]) -> list[RunOf]:
        """Return the completed runs of a kind on a data set, newest first; of no store, none.

        Those that wait in the outbox are among them. While the store is away the rest is what was
        last seen of it.

        Parameters
        ----------
        of : type
            `BaseRun`, `DescriptionRun`, `ModelRun`, `PromotionRun`, `CellRun`, `BridgeRun` or
            `CollectionRun`.

        Raises
        ------
        AwayError
            If it is away and was never asked for these.
        StoreError
            If one of them is not as Clarify writes it.
        """
        return [of.read(run) for run in self.stored(data_set, kind=of.kind)]

    def stored(self, data_set: str, *, kind: str) -> list[StoredRun]:
        """Return the same as text, to be carried whole; see `runs`."""
        waiting = self._deliveries.waiting(data_set, kind)  # first: it may be delivered a moment later
        known = self._listed(data_set, kind)
        delivered = {run.delivery for run in known}
        waiting = [run for run in waiting if run.delivery not in delivered]
        return sorted([*waiting, *known], key=lambda run: -run.started) if waiting else known

    def runs_since(self, data_set: str, since: int) -> list[Run]:
        """Return completed runs of every kind that were written since then, and all that wait.

        Parameters
        ----------
        since : int
            Milliseconds since 1970.

        Raises AwayError, StoreError as `runs`.
        """
        found, known = self._deliveries.waiting(data_set), []
        if self._connection.opened or self.backend.made():
            known = self._trying(lambda _: list(search(self.client, self.backend, data_set, since=since)))
        delivered = {run.delivery for run in known}
        found = [*known, *(run for run in found if run.delivery not in delivered)]
        return [read_run(run) for run in found]

    def artifact(self, run_id: str, path: str) -> bytes:
        """Return a file of a run.

        Raises
        ------
        NotFoundError
            If the run has no such file (any more).
        AwayError
            If the store is away and the file was never read.
        """
        if entry := self._deliveries.entry(run_id):
            return entry.content(path)
        run_id = self._delivered(run_id)
        if not self.backend.remote:
            return self.backend.read(self._run(run_id), path)
        known = self._copies.artifact(run_id, path)
        if known is None:
            run = self._run(run_id)
            known = self._trying(lambda _: self.backend.read(run, path))
            self._copies.keep_artifact(run_id, path, known)
        return known

    def files(self, run_id: str) -> list[str]:
        """Return the paths of a run's files, sorted; those of registered models are left out."""
        if entry := self._deliveries.entry(run_id):
            return sorted(artifact.path for artifact in entry.record.artifacts)
        run = self._run(self._delivered(run_id))
        found = self._trying(lambda _: self.backend.files(run))
        return sorted(path for path in found if not path.startswith(MODEL))

    def artifact_folder(self, run_id: str) -> Path:
        """Return where a run's files lie on this machine; StoreError if on a server (`place`)."""
        if not isinstance(self.backend, LocalFiles):
            raise StoreError(f"the files of run {run_id[:8]} lie on {self.address.shown}")
        return self.backend.folder(self._run(run_id))

    def place(self, run_id: str) -> str:
        """Return where people find a run's files: a folder, or the server's page."""
        if self._deliveries.entry(run_id):
            return str(self.outbox.folder / run_id.removeprefix(WAITING))
        return self.backend.place(self._run(self._delivered(run_id)))

    def add_folder(self, run_id: str, folder: Path) -> str:
        """Copy a model's folder into a run's files, and return its place for the registry."""
        run = self._run(run_id)
        return self._trying(lambda _: self.backend.add_folder(run, folder), seconds=FILES_S)

    def retag(self, run_id: str, name: str, value: str) -> None:
        """Change one of a run's tags, the one thing about it that may change; its end is then.

        Raises
        ------
        AwayError, StoreError
            If it cannot be written; also for a run that waits in the outbox.
        """
        found = self._delivered(run_id)
        self.ask(lambda client: client.set_tag(found, PREFIX + name, value))
        self.ask(lambda client: client.set_terminated(found))  # so that `runs_since` tells everybody

    def ask(self, call: Callable[[MlflowClient], T]) -> T:
        """Let the registry ask MLflow's client for something, once.

        Raises
        ------
        StoreError
            If it cannot be had; AwayError if the store does not answer.
        """
        return self._trying(lambda _: call(self.client), attempts=1)

    def peek(self, call: Callable[[MlflowClient], T]) -> T | None:
        """Ask as `ask` does, but make and deliver nothing; None where there is no store yet."""
        client = self.backend.peek()
        if client is None:
            return None
        from mlflow.exceptions import MlflowException

        try:
            return call(client)
        except MlflowException as error:
            raise self.backend.trouble(error) from None

    def look(self) -> str:
        """Say in one line what is there, making nothing; raise StoreError if it is unfit."""
        with self._connection.noting():
            return self.backend.look()

    def relocate(self) -> int:
        """Adopt a store that was moved here: point its runs to where their files lie now.

        Returns how many places were changed; a copy of a SQLite database is kept beside it. Raises
        StoreError if the store is broken.
        """
        self._connection.close()
        return self.backend.relocate()

    def _tidy(self, seconds: float) -> None:
        """End what killed processes left running, once."""
        if not self._tidied:
            self._tidied = True
            with contextlib.suppress(StoreError):
                self._trying(lambda _: end_abandoned(self.client), attempts=1, seconds=seconds)

    @property
    def _soon(self) -> float:
        """How many seconds writing a description may take as a whole, before it waits."""
        return 3 * min(self.patience, DESCRIPTION_SECONDS)

    def _trying(self, call: Callable[[int], T], *, attempts: int = ATTEMPTS, seconds: float = CALL_S) -> T:
        return self._connection.trying(call, attempts=attempts, seconds=seconds)

    def _write_waiting(self, entry: Entry) -> str:
        return self._trying(
            lambda _: write_once(
                self.client, self.backend, entry.record, entry.delivery, at=entry.at, first=False
            ),
            seconds=self._soon,
        )

    def _listed(self, data_set: str, kind: str) -> list[StoredRun]:
        if not self._connection.opened and not self.backend.made():
            return []
        try:
            found = self._trying(lambda _: list(search(self.client, self.backend, data_set, kind)))
        except AwayError:
            seen = self._copies.runs(data_set, kind) if self.backend.remote else None
            if seen is None:
                raise
            return seen
        if self.backend.remote:
            self._copies.keep_runs(data_set, kind, found)
        return found

    def _delivered(self, run_id: str) -> str:
        """Return the run that a record became that waited; any other id as it is."""
        if not run_id.startswith(WAITING):
            return run_id
        delivery = run_id.removeprefix(WAITING)
        found = self._trying(lambda _: completed(self.client, delivery)) if delivery else None
        if found is None:
            raise NotFoundError(
                f"run {run_id}: it neither waits in {self.outbox.folder} nor was delivered; see "
                "clarify doctor"
            )
        return found

    def _run(self, run_id: str) -> mlflow.entities.Run:
        return self._trying(lambda _: self.client.get_run(run_id))
