"""What the kinds of tracking stores have in common: SQLite, PostgreSQL, an MLflow server.

Each has the same methods; `remote` says whether it can be away while this machine is fine, so that
what is read is copied. They raise AwayError where the store does not answer, StoreError where it is
broken, NotFoundError for a file that is not there.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.errors import NotFoundError, StoreError
from clarify.track.address import Address
from clarify.track.artifacts import Artifact

if TYPE_CHECKING:
    import mlflow.entities
    from mlflow import MlflowClient

__all__ = [
    "MAKING",
    "POOL_FULL",
    "Elsewhere",
    "LocalFiles",
    "check_version",
    "client_on",
    "in_the_way",
    "quieten",
]

MAKING = "making the tracking store (once, some seconds)"
POOL_FULL = "QueuePool limit"
"""What SQLAlchemy says when as many ask a store at once as it has connections, for longer than it waits."""

SAME_ROW = ("UNIQUE constraint failed", "duplicate key value")
"""What SQLite and PostgreSQL say to the slower of two who write a row first: MLflow looks, then inserts."""

HTTP_SECONDS = "20"
"""An answer of a server is waited for so long, and asked for once more; MLflow waits minutes."""


def in_the_way(error: Exception) -> bool:
    """Whether other writers were in the way: tried again, a run is written once all the same."""
    return any(sign in str(error) for sign in (POOL_FULL, *SAME_ROW))


class Elsewhere:
    """A store that only asking tells about."""

    remote = True
    address: Address

    def peek(self) -> MlflowClient | None:
        """Return a client on what is there, for looking only."""
        return client_on(self.address.uri)

    def made(self) -> bool:
        """Whether there may be something to read, without making anything: only the store knows."""
        return True

    def stamp(self) -> object | None:
        """Return what differs once anybody has written; None, as only asking tells."""
        return None


def put(artifacts: Sequence[Artifact], folder: Path) -> None:
    """Write files below a folder."""
    for artifact in artifacts:
        place = folder / artifact.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(artifact.content)


class LocalFiles:
    """Runs' files in folders of this machine."""

    artifacts: Path

    def experiment_place(self, data_set: str) -> str | None:
        """Return where the files of a new experiment go: the data set's folder of artifacts."""
        return str(self.artifacts / data_set)

    def write(self, run: mlflow.entities.Run, artifacts: Sequence[Artifact]) -> None:
        """Write a run's files where they belong.

        MLflow's own call copies them a second time, and remembers a run's place by its id for as
        long as the process lives: in a store that was copied or moved it would write to the old
        place.
        """
        put(artifacts, self.folder(run))

    def read(self, run: mlflow.entities.Run, path: str) -> bytes:
        """Return a run's file."""
        place = self.folder(run) / path
        try:
            return place.read_bytes()
        except OSError as error:
            raise NotFoundError(
                f"run {run.info.run_id[:8]}: its file {path} cannot be read at {place} "
                f"({error.strerror}); restore it, or make the run again"
            ) from None

    def files(self, run: mlflow.entities.Run) -> list[str]:
        """Return the paths of a run's files, those of registered models among them."""
        folder = self.folder(run)
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]

    def add_folder(self, run: mlflow.entities.Run, folder: Path) -> str:
        """Copy a model's folder into the run's files, and return its place for the registry.

        A run that is registered again must not change the first.
        """
        for number in itertools.count(1):
            place = self.folder(run) / f"model-{number}"
            with contextlib.suppress(FileExistsError):
                place.mkdir(parents=True)
                break
        shutil.copytree(folder, place, dirs_exist_ok=True)
        return str(place)

    def place(self, run: mlflow.entities.Run) -> str:
        """Return where people find a run's files: the folder."""
        return str(self.folder(run))

    def folder(self, run: mlflow.entities.Run) -> Path:
        """Return the folder of a run's files."""
        return Path(str(run.info.artifact_uri).removeprefix("file://"))


def check_version(where: str, found: str, upgrade: str) -> None:
    """Raise StoreError unless a database has the schema revision of the installed MLflow.

    Parameters
    ----------
    where : str
        The store, for people.
    found : str
        Its revision.
    upgrade : str
        The command that brings an older one up to date.
    """
    newest, known = _revisions()
    if found == newest:
        return
    if found in known:
        raise StoreError(
            f"the tracking store {where} is of an older MLflow (schema {found}, this one has "
            f"{newest}); close what uses it, keep a copy, then run: {upgrade}"
        )
    raise StoreError(
        f"the tracking store {where} is of a newer MLflow (schema {found}, this one knows up to "
        f"{newest}); install a newer MLflow: pip install --upgrade mlflow"
    )


@functools.cache
def _revisions() -> tuple[str, frozenset[str]]:
    """Return the schema revision of the installed MLflow, and all that it can come from."""
    import mlflow
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    known = frozenset(str(each.revision) for each in scripts.walk_revisions())
    return str(scripts.get_current_head()), known


def client_on(uri: str) -> MlflowClient:
    """Return MLflow's client on a store."""
    quieten()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def quieten() -> None:
    """Keep MLflow's chatter off stdout and stderr, its telemetry off the network, its waits short.

    Its errors are not lost: each is raised as well, and becomes a StoreError.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_DISABLE_AGENT_HINT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", HTTP_SECONDS)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("PGCONNECT_TIMEOUT", "5")
    import mlflow  # noqa: F401 - sets its loggers up, so the levels come after it

    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
