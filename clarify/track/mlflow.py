"""The tracking store: MLflow on SQLite under the home. With `registry.py`, all that knows MLflow.

What MLflow needs to be told: absolute paths (its defaults are relative to the working directory),
one process at a time for the first migration, write-ahead logging so that writers do not wait for
readers, and a check that the store still lies where its runs say that it does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clarify.errors import NotFoundError, StoreError
from clarify.track import database
from clarify.track.records import TAGS, Artifact, RunRecord

if TYPE_CHECKING:
    import mlflow.entities
    from mlflow import MlflowClient

__all__ = ["PREFIX", "Run", "TrackingStore"]

PREFIX = "clarify."
STATUS = "clarify.status"
ATTEMPTS = 4
LOCK_SECONDS = 120
LOCK_FILE = ".lock"
PAGE = 1000
BATCH = 100
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A completed run, read back.

    Parameters
    ----------
    id, kind, name : str
    params, tags : mapping of str to str
    metrics : mapping of str to float
    started : int
        Milliseconds since 1970.
    """

    id: str
    kind: str
    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    started: int


class TrackingStore:
    """MLflow's store of one home, opened (and made) when first used.

    Parameters
    ----------
    home : Path
        The home; the database is ``mlruns/mlflow.db`` in it, artifacts lie in
        ``mlruns/artifacts``.
    patience : float
        Seconds to wait for another process that is writing.
    """

    def __init__(self, home: Path, *, patience: float = 60.0) -> None:
        self.folder = Path(home).absolute() / "mlruns"
        self.database = self.folder / "mlflow.db"
        self.artifacts = self.folder / "artifacts"
        self.uri = f"sqlite:///{self.database}"
        self.patience = patience
        self._opened: MlflowClient | None = None

    @property
    def client(self) -> MlflowClient:
        """MLflow's client on this store; see `open`."""
        return self.open()

    def open(self) -> MlflowClient:
        """Open the store, made first where there is none, and return MLflow's client on it.

        Raises
        ------
        StoreError
            If the store is broken, of another version, moved, or cannot be written.
        """
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def log(self, record: RunRecord) -> str:
        """Write a run whole, and return its id; a run cut short is never listed.

        Raises
        ------
        StoreError
            If the store cannot be written.
        """
        self.open()
        database.wait_for_writers(self.database, self.patience)
        return self._trying(lambda: self._log(record))

    def runs(self, data_set: str, *, kind: str) -> list[Run]:
        """Return the completed runs of a kind on a data set, newest first; of no store, none."""
        if self._opened is None and not self._made:
            return []
        return self._trying(lambda: list(self._search(data_set, kind)))

    def artifact(self, run_id: str, path: str) -> bytes:
        """Return a file of a run.

        Raises
        ------
        NotFoundError
            If the run has no such file (any more).
        """
        place = self.artifact_folder(run_id) / path
        try:
            return place.read_bytes()
        except OSError as error:
            raise NotFoundError(
                f"run {run_id[:8]}: its file {path} cannot be read at {place} "
                f"({error.strerror}); restore it, or make the run again"
            ) from None

    def artifact_folder(self, run_id: str) -> Path:
        """Return where a run's files lie."""
        return _folder(self._trying(lambda: self.client.get_run(run_id)))

    def relocate(self) -> int:
        """Adopt a store that was moved here: point its runs to where it lies now.

        A copy of the database is kept beside it.

        Returns
        -------
        int
            How many places were changed; 0 if the store lies where its runs say.

        Raises
        ------
        StoreError
            If there is no store, or it is broken.
        """
        old = database.recorded_artifacts(self.database) if self._made else None
        if old is None or old == self.artifacts:
            return 0
        self._opened = None
        return database.relocate(self.database, old, self.artifacts)

    @property
    def _made(self) -> bool:
        return database.exists(self.database)

    def _open(self) -> MlflowClient:
        from filelock import FileLock, Timeout

        self._check_folder()
        try:
            with FileLock(self.folder / LOCK_FILE, timeout=LOCK_SECONDS):
                if self._made:
                    self._check_place()
                return self._client()
        except Timeout:
            raise StoreError(
                f"another process has been opening {self.folder} for {LOCK_SECONDS} s; wait for "
                "it, then run the same command again"
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None

    def _check_folder(self) -> None:
        if set(str(self.folder)) & set("?#%"):
            raise StoreError(
                f"the home {self.folder.parent} has one of ? # % in its path, which a tracking "
                "store's address cannot hold; choose another --home"
            )
        try:
            self.artifacts.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from None
        for old in self.folder.glob("[0-9]*/meta.yaml"):
            raise StoreError(
                f"{old.parent} is from MLflow's old file store, which MLflow refuses; move the "
                f"old folders out of {self.folder}"
            )

    def _check_place(self) -> None:
        recorded = database.recorded_artifacts(self.database)
        if recorded is not None and recorded != self.artifacts:
            raise StoreError(
                f"the tracking store in {self.folder} was moved: its runs lie in "
                f"{recorded}; move it back, or adopt it here: clarify relocate --home "
                f"{self.folder.parent}"
            )

    def _client(self) -> MlflowClient:
        _quieten()
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        try:
            if self._made:
                newest, known = _schema_revisions()
                database.check_version(self.database, self.uri, newest=newest, known=known)
            else:
                self._make()
            client = MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            client.get_experiment_by_name("clarify")
        except MlflowException as error:
            raise self._unusable(error) from None
        return client

    def _make(self) -> None:
        """Make a new database under another name, so that a killed process leaves no half one."""
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        unfinished = self.database.with_suffix(".unfinished")
        for leftover in self.folder.glob(f"{unfinished.name}*"):
            leftover.unlink()
        address = f"sqlite:///{unfinished}"
        made = SqlAlchemyStore(address, str(self.artifacts))  # type: ignore[no-untyped-call]
        made.engine.dispose()
        database.use_write_ahead_log(unfinished)
        unfinished.replace(self.database)

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"the tracking store {self.folder} cannot be written: {error.strerror or error}; free "
            "space, mend its permissions, or choose another --home"
        )

    def _unusable(self, error: Exception) -> StoreError:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return StoreError(f"the tracking store {self.database} cannot be used: {first}")

    def _trying(self, call: Callable[[], T]) -> T:
        """Do what may find the database locked, several times before giving up."""
        self.open()
        from mlflow.exceptions import MlflowException

        for attempt in range(ATTEMPTS):
            try:
                return call()
            except MlflowException as error:
                if "locked" not in str(error):
                    raise self._unusable(error) from None
                time.sleep(0.5 * 2**attempt)
            except OSError as error:
                raise self._unwritable(error) from None
        raise StoreError(
            f"the tracking store {self.database} stays locked by another process; end it, then run "
            "the same command again"
        )

    def _log(self, record: RunRecord) -> str:
        client = self.client
        tags = {PREFIX + name: value for name, value in record.tags.items()}
        run = client.create_run(
            self._experiment(record.tags["data_set"]), run_name=record.name,
            tags={**tags, STATUS: "started", "mlflow.user": record.tags["reviewer"],
                  "mlflow.source.name": "clarify"},
        )  # fmt: skip
        run_id = str(run.info.run_id)
        try:
            self._fill(run_id, _folder(run), record)
        except BaseException:
            # What stopped it is raised below; a second failure must not hide it.
            with contextlib.suppress(Exception):
                client.set_terminated(run_id, status="FAILED")
            raise
        return run_id

    def _fill(self, run_id: str, folder: Path, record: RunRecord) -> None:
        from mlflow.entities import Metric, Param

        client = self.client
        now = int(time.time() * 1000)
        params = [Param(key, str(value)) for key, value in record.params.items()]
        metrics = [Metric(key, value, now, 0) for key, value in record.metrics.items()]
        client.log_batch(run_id, params=params[:BATCH], metrics=metrics[: PAGE - BATCH])
        for start in range(BATCH, len(params), BATCH):
            client.log_batch(run_id, params=params[start : start + BATCH])
        for start in range(PAGE - BATCH, len(metrics), PAGE):
            client.log_batch(run_id, metrics=metrics[start : start + PAGE])
        _write(folder, record.artifacts)
        self._log_dataset(run_id, record)
        client.set_tag(run_id, STATUS, "completed")
        client.set_terminated(run_id)

    def _log_dataset(self, run_id: str, record: RunRecord) -> None:
        from mlflow.data.code_dataset_source import CodeDatasetSource
        from mlflow.data.polars_dataset import from_polars
        from mlflow.entities import DatasetInput, InputTag

        ref = record.dataset
        # Given a path, MLflow looks for what it could be, and warns that it found several things.
        source = CodeDatasetSource(tags={"mlflow.source.name": ref.source})
        found = from_polars(ref.table, source=source, name=ref.name, digest=ref.digest[:12])
        tag = InputTag(key="mlflow.data.context", value=record.kind)
        self.client.log_inputs(
            run_id, [DatasetInput(dataset=found._to_mlflow_entity(), tags=[tag])]
        )

    def _experiment(self, data_set: str) -> str:
        from mlflow.exceptions import MlflowException

        name = f"clarify/{data_set}"
        known = self.client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        try:
            place = self.artifacts / data_set
            return str(self.client.create_experiment(name, artifact_location=str(place)))
        except MlflowException as error:  # another process was faster
            known = self.client.get_experiment_by_name(name)
            if known is None:
                raise error
            return str(known.experiment_id)

    def _search(self, data_set: str, kind: str) -> Iterator[Run]:
        known = self.client.get_experiment_by_name(f"clarify/{data_set}")
        if known is None:
            return
        asked = f"tags.`{PREFIX}kind` = '{kind}' AND tags.`{STATUS}` = 'completed'"
        token: str | None = None
        while True:
            page = self.client.search_runs(
                [known.experiment_id], asked, max_results=PAGE, page_token=token,
                order_by=["attributes.start_time DESC"],
            )  # fmt: skip
            for run in page:
                yield Run(
                    id=run.info.run_id,
                    kind=kind,
                    name=run.info.run_name or "",
                    params=run.data.params,
                    metrics=run.data.metrics,
                    tags={name: run.data.tags.get(PREFIX + name, "") for name in TAGS},
                    started=run.info.start_time,
                )
            token = page.token
            if not token:
                return


def _folder(run: mlflow.entities.Run) -> Path:
    return Path(str(run.info.artifact_uri).removeprefix("file://"))


def _write(folder: Path, artifacts: tuple[Artifact, ...]) -> None:
    """Write a run's files where they belong.

    MLflow's own call copies them a second time, and remembers a run's place by its id for as long
    as the process lives: in a store that was copied or moved it would write to the old place.
    """
    for artifact in artifacts:
        place = folder / artifact.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(artifact.content)


def _schema_revisions() -> tuple[str, frozenset[str]]:
    """Return the newest schema revision of the installed MLflow, and all that it knows."""
    import mlflow
    from alembic.script import ScriptDirectory

    folder = Path(mlflow.__file__).parent / "store" / "db_migrations"
    scripts = ScriptDirectory(str(folder))
    known = frozenset(each.revision for each in scripts.walk_revisions())
    return str(scripts.get_current_head()), known


def _quieten() -> None:
    """Keep MLflow's chatter off stderr, and its telemetry off the network.

    Its errors are not lost: each is raised as well, and becomes a StoreError.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_DISABLE_AGENT_HINT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    import mlflow  # noqa: F401 - sets its loggers up, so the levels come after it

    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)
