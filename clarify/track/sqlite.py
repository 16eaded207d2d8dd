"""The tracking store in a file: SQLite under the home, or where an absolute address says.

What MLflow needs to be told: absolute paths (its defaults are relative to the working directory),
one process at a time for the first migration, write-ahead logging so that writers do not wait for
readers, and a check that the store still lies where its runs say that it does.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from clarify.data.files import why
from clarify.errors import AwayError, StoreError
from clarify.track import database
from clarify.track.address import Address
from clarify.track.backend import MAKING, POOL_FULL, LocalFiles, check_version, client_on, in_the_way, quieten

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["SqliteBackend"]

LOCK_SECONDS = 120
LOCK_FILE = ".lock"


class SqliteBackend(LocalFiles):
    """A database file, with the folder of artifacts beside it.

    Parameters
    ----------
    address : Address
        Of kind ``sqlite``.
    """

    remote = False

    def __init__(self, address: Address) -> None:
        if address.database is None:
            raise StoreError(f"{address.shown} names no database file")
        self.address = address
        self.database = address.database
        self.folder_of_store = self.database.parent
        self.artifacts = self.folder_of_store / "artifacts"

    def made(self) -> bool:
        """Whether there is a database."""
        return database.exists(self.database)

    def stamp(self) -> object | None:
        """Return what differs once anybody has written."""
        return database.stamp(self.database)

    def open(self, say: Callable[[str], None]) -> MlflowClient:
        """Make the database where there is none, check it, and return a client on it."""
        from filelock import FileLock, Timeout

        self._check_folder()
        try:
            self.artifacts.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder_of_store / LOCK_FILE, timeout=LOCK_SECONDS):
                return self._client(say)
        except Timeout:
            raise AwayError(
                f"another process has been opening {self.folder_of_store} for {LOCK_SECONDS} s; "
                "wait for it, then run the same command again"
            ) from None
        except OSError as error:
            raise self._unwritable(error) from None

    def peek(self) -> MlflowClient | None:
        """Return a client on the database, for looking only; None where there is none."""
        return client_on(self.address.uri) if self.made() else None

    def reach(self, seconds: float) -> None:
        """Wait until nobody else writes."""
        database.wait_for_writers(self.database, seconds)

    def trouble(self, error: Exception) -> StoreError:
        """Say in one line what MLflow raised."""
        if isinstance(error, OSError):
            return self._unwritable(error)
        if "locked" in str(error):
            return AwayError(
                f"the tracking store {self.database} stays locked by another process; end it, "
                "then run the same command again"
            )
        if POOL_FULL in str(error):
            return AwayError(f"the tracking store {self.database} is asked by too many at once; try again")
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return StoreError(f"the tracking store {self.database} {database.meaning(self.database, first)}")

    def passing(self, error: Exception) -> bool:
        """Whether another writer was in the way."""
        return "locked" in str(error) or in_the_way(error)

    def relocate(self) -> int:
        """Point the runs to where their files lie now; a copy of the database is kept."""
        old = database.recorded_artifacts(self.database) if self.made() else None
        if old is None or old == self.artifacts:
            return 0
        return database.relocate(self.database, old, self.artifacts)

    def look(self) -> str:
        """Say what is there, making nothing."""
        self._check_folder()
        if not self.made():
            return f"{self.database}: none yet, the first command that trains makes it"
        self._check_place()
        self._check_version()
        self.reach(1.0)
        return f"{self.database}: as this MLflow makes it"

    def _check_folder(self) -> None:
        if set(str(self.folder_of_store)) & set("?#%"):
            raise StoreError(
                f"the folder {self.folder_of_store} has one of ? # % in its path, which a tracking "
                "store's address cannot hold; choose another --home"
            )
        for old in self.folder_of_store.glob("[0-9]*/meta.yaml"):
            raise StoreError(
                f"{old.parent} is from MLflow's old file store, which MLflow refuses; move the "
                f"old folders out of {self.folder_of_store}"
            )

    def _check_place(self) -> None:
        recorded = database.recorded_artifacts(self.database)
        if recorded is not None and recorded != self.artifacts:
            raise StoreError(
                f"the tracking store in {self.folder_of_store} was moved: its runs lie in "
                f"{recorded}; move it back, or adopt it here: clarify relocate --home "
                f"{self.folder_of_store.parent}"
            )

    def _check_version(self) -> None:
        found = database.revision(self.database)
        check_version(str(self.database), found, f"mlflow db upgrade {self.address.uri}")

    def _client(self, say: Callable[[str], None]) -> MlflowClient:
        if self.made():
            self._check_place()
        quieten()
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            if self.made():
                self._check_version()
            else:
                say(MAKING)
                self._make()
            client = client_on(self.address.uri)
            client.get_experiment_by_name("clarify")
        except (MlflowException, SQLAlchemyError) as error:
            raise self.trouble(error) from None
        return client

    def _make(self) -> None:
        """Make a new database under another name, so that a killed process leaves no half one."""
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        for leftover in self.folder_of_store.glob("*.unfinished*"):
            leftover.unlink()
        # A name of its own each time: MLflow keeps the connection to one that could not be made.
        unfinished = self.database.with_suffix(f".{uuid.uuid4().hex[:8]}.unfinished")
        address = f"sqlite:///{unfinished}"
        made = SqlAlchemyStore(address, str(self.artifacts))  # type: ignore[no-untyped-call]
        made.engine.dispose()
        database.use_write_ahead_log(unfinished)
        unfinished.replace(self.database)

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"the tracking store {self.folder_of_store} cannot be written: "
            f"{why(error)}; free space, mend its permissions, or choose another --home"
        )
