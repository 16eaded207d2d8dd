"""What the kinds of tracking stores have in common: SQLite, PostgreSQL, an MLflow server."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from clarify.errors import NotFoundError, StoreError
from clarify.track.address import Address
from clarify.track.artifacts import Artifact

if TYPE_CHECKING:
    import mlflow.entities
    from mlflow import MlflowClient

__all__ = ["MAKING", "Backend", "LocalFiles", "quieten", "schema_revisions", "version_trouble"]

MAKING = "making the tracking store (once, some seconds)"
HTTP_SECONDS = "20"
"""An answer of a server is waited for so long, and asked for once more; MLflow waits minutes."""


class Backend(Protocol):
    """One kind of tracking store."""

    address: Address
    remote: bool
    """Whether it can be away while this machine is fine, so that what is read is copied."""

    def open(self, say: Callable[[str], None]) -> MlflowClient:
        """Make the store where there is none (telling so), check it, and return a client on it."""

    def made(self) -> bool:
        """Whether there may be something to read, without making anything."""

    def stamp(self) -> object | None:
        """Return what differs once anybody has written; None where only asking tells."""

    def reach(self, seconds: float) -> None:
        """Raise AwayError if the store does not answer, or cannot be written within so long."""

    def trouble(self, error: Exception) -> StoreError:
        """Say in one line what MLflow raised."""

    def passing(self, error: Exception) -> bool:
        """Whether what was raised may pass by itself, the store being within reach."""

    def experiment_place(self, data_set: str) -> str | None:
        """Return where the files of a new experiment go; None leaves it to the store."""

    def write(self, run: mlflow.entities.Run, artifacts: Sequence[Artifact]) -> None:
        """Write a run's files."""

    def read(self, run: mlflow.entities.Run, path: str) -> bytes:
        """Return a run's file, or raise NotFoundError."""

    def files(self, run: mlflow.entities.Run) -> list[str]:
        """Return the paths of a run's files, those of registered models among them."""

    def add_folder(self, run: mlflow.entities.Run, folder: Path) -> str:
        """Copy a model's folder into the run's files, and return its place for the registry."""

    def place(self, run: mlflow.entities.Run) -> str:
        """Return where people find a run's files."""

    def relocate(self) -> int:
        """Point the runs to where their files lie now; return how many places changed."""

    def look(self) -> str:
        """Say in one line what is there, making nothing; raise StoreError if it is unfit."""


class LocalFiles:
    """Runs' files in folders of this machine."""

    def write(self, run: mlflow.entities.Run, artifacts: Sequence[Artifact]) -> None:
        """Write a run's files where they belong.

        MLflow's own call copies them a second time, and remembers a run's place by its id for as
        long as the process lives: in a store that was copied or moved it would write to the old
        place.
        """
        folder = self.folder(run)
        for artifact in artifacts:
            place = folder / artifact.path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(artifact.content)

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
        """Return the paths of a run's files."""
        folder = self.folder(run)
        return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]

    def add_folder(self, run: mlflow.entities.Run, folder: Path) -> str:
        """Copy a model's folder: a run that is registered again must not change the first."""
        for number in itertools.count(1):
            place = self.folder(run) / f"model-{number}"
            with contextlib.suppress(FileExistsError):
                place.mkdir(parents=True)
                break
        shutil.copytree(folder, place, dirs_exist_ok=True)
        return str(place)

    def place(self, run: mlflow.entities.Run) -> str:
        """Return the folder."""
        return str(self.folder(run))

    def folder(self, run: mlflow.entities.Run) -> Path:
        """Return the folder of a run's files."""
        return Path(str(run.info.artifact_uri).removeprefix("file://"))


def version_trouble(
    where: str, found: str, newest: str, known: frozenset[str], upgrade: str
) -> StoreError | None:
    """Say what is wrong with a database's schema revision; None if it is the installed one's.

    Parameters
    ----------
    where : str
        The store, for people.
    found, newest : str
        Its revision, and that of the installed MLflow.
    known : frozenset of str
        All that the installed MLflow can upgrade from.
    upgrade : str
        The command that does.
    """
    if found == newest:
        return None
    if found in known:
        return StoreError(
            f"the tracking store {where} is of an older MLflow (schema {found}, this one has "
            f"{newest}); close what uses it, keep a copy, then run: {upgrade}"
        )
    return StoreError(
        f"the tracking store {where} is of a newer MLflow (schema {found}, this one knows up to "
        f"{newest}); install a newer MLflow: pip install --upgrade mlflow"
    )


def schema_revisions() -> tuple[str, frozenset[str]]:
    """Return the newest schema revision of the installed MLflow, and all that it knows."""
    import mlflow
    from alembic.script import ScriptDirectory

    folder = Path(mlflow.__file__).parent / "store" / "db_migrations"
    scripts = ScriptDirectory(str(folder))
    known = frozenset(each.revision for each in scripts.walk_revisions())
    return str(scripts.get_current_head()), known


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
