"""The tracking store in PostgreSQL; the runs' files stay in the home.

Several processes that find an empty database would all migrate it and crash, so one does, under an
advisory lock, which PostgreSQL drops with the connection of whoever is killed. Connections are
tried first with a short limit: MLflow alone would try for minutes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.data.files import why
from clarify.errors import AwayError, StoreError
from clarify.track.address import Address
from clarify.track.backend import (
    MAKING,
    POOL_FULL,
    Elsewhere,
    LocalFiles,
    check_version,
    client_on,
    in_the_way,
    quieten,
)
from clarify.track.database import relocations

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sqlalchemy import Connection

__all__ = ["PostgresqlBackend"]

CONNECT_SECONDS = 5
LOCK_SECONDS = 120
LOCK_KEY = 0x436C61726966  # "Clarif"
REFUSED = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf",
    "permission denied",
    "no password supplied",
    "must be superuser",
)
"""What PostgreSQL says when it is there, and waiting will not help."""


class PostgresqlBackend(Elsewhere, LocalFiles):
    """A database of a PostgreSQL server.

    Parameters
    ----------
    address : Address
        Of kind ``postgresql``.
    home : Path
        Files go to ``mlruns/artifacts`` in it.
    """

    def __init__(self, address: Address, home: Path) -> None:
        self.address = address
        self.artifacts = home / "mlruns" / "artifacts"

    def open(self, say: Callable[[str], None]) -> MlflowClient:
        """Make the tables where there are none, check them, and return a client on them."""
        with self._connection() as connection, self._one_at_a_time(connection):
            found = _revision(connection)
            if found is None:
                say(MAKING)
                self._make()
            else:
                self._check(found)
                self._check_place(connection)
            client = client_on(self.address.uri)
            from mlflow.exceptions import MlflowException

            try:
                client.get_experiment_by_name("clarify")
            except MlflowException as error:
                raise self.trouble(error) from None
        return client

    def peek(self) -> MlflowClient | None:
        """Return a client on the tables, for looking only; None where there are none."""
        with self._connection() as connection:
            return client_on(self.address.uri) if _revision(connection) else None

    def reach(self, seconds: float) -> None:
        """Connect once."""
        with self._connection():
            pass

    def trouble(self, error: Exception) -> StoreError:
        """Say in one line what MLflow, SQLAlchemy or the system raised."""
        if isinstance(error, OSError):
            return StoreError(
                f"the runs' files cannot be written in {self.artifacts}: "
                f"{why(error)}; free space, mend its permissions, or choose another "
                "--home"
            )
        said = _first_line(self.address.hide(str(error)))
        if POOL_FULL in said:
            return AwayError(
                f"the tracking store {self.address.shown} is asked by too many at once; try again"
            )
        return StoreError(f"the tracking store {self.address.shown} cannot be used: {said}")

    def passing(self, error: Exception) -> bool:
        """Whether a connection was lost, or two writers were in each other's way."""
        said = str(error)
        return in_the_way(error) or any(
            sign in said for sign in ("closed", "terminat", "deadlock", "serialize")
        )

    def relocate(self) -> int:
        """Point the runs to where their files lie now; all or nothing."""
        from sqlalchemy import text

        with self._connection() as connection, connection.begin():
            old = _recorded(connection) if _revision(connection) else None
            if old is None or old == self.artifacts:
                return 0
            statements, values = relocations(old, self.artifacts)
            return sum(connection.execute(text(each), values).rowcount for each in statements)

    def look(self) -> str:
        """Say what is there, making nothing."""
        with self._connection() as connection:
            found = _revision(connection)
            if found is None:
                return f"{self.address.shown}: empty, the first command that trains fills it"
            self._check(found)
            self._check_place(connection)
        return f"{self.address.shown}: as this MLflow makes it, files in {self.artifacts}"

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Connection]:
        """Connect, and turn what SQLAlchemy raises into one line."""
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

        try:
            engine = sqlalchemy.create_engine(
                self.address.uri,
                poolclass=sqlalchemy.NullPool,
                connect_args={"connect_timeout": CONNECT_SECONDS},
            )
            with engine.connect() as connection:
                yield connection
        except (ImportError, NoSuchModuleError):
            raise StoreError(
                f"the tracking store {self.address.shown} needs PostgreSQL's driver: "
                "pip install 'clarify[postgres]'"
            ) from None
        except (ArgumentError, ValueError) as error:
            raise self.trouble(error) from None
        except SQLAlchemyError as error:
            raise self._unreached(error) from None

    def _unreached(self, error: Exception) -> StoreError:
        said = _first_line(self.address.hide(str(getattr(error, "orig", None) or error)))
        where = f"the tracking store {self.address.shown}"
        if any(sign in said for sign in REFUSED):
            return StoreError(
                f"{where} refuses: {said}; mend the user, password, database or its rights "
                "(GRANT ALL ON SCHEMA public), or the address in MLFLOW_TRACKING_URI"
            )
        return AwayError(
            f"{where} cannot be reached: {said}; start it or mend the network, then run the same "
            "command again"
        )

    @contextlib.contextmanager
    def _one_at_a_time(self, connection: Connection) -> Iterator[None]:
        from sqlalchemy import text

        deadline = time.monotonic() + LOCK_SECONDS
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK_KEY}):
            if time.monotonic() > deadline:
                raise AwayError(
                    f"another process has been opening {self.address.shown} for {LOCK_SECONDS} s; "
                    "wait for it, then run the same command again"
                )
            time.sleep(0.1)
        # The lock outlives this transaction, which would go on seeing the tables of before.
        connection.commit()
        yield

    def _make(self) -> None:
        quieten()
        from mlflow.exceptions import MlflowException
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        try:
            made = SqlAlchemyStore(self.address.uri, str(self.artifacts))  # type: ignore[no-untyped-call]
        except MlflowException as error:
            raise self.trouble(error) from None
        made.engine.dispose()

    def _check(self, found: str) -> None:
        check_version(self.address.shown, found, 'mlflow db upgrade "$MLFLOW_TRACKING_URI"')

    def _check_place(self, connection: Connection) -> None:
        """Refuse to write files to a folder that is another machine's, or was moved away."""
        recorded = _recorded(connection)
        if recorded is not None and recorded != self.artifacts and not recorded.is_dir():
            raise StoreError(
                f"the tracking store {self.address.shown} keeps its runs' files in {recorded}, "
                f"which is not here; mount it, or if they were moved to {self.artifacts}: clarify "
                "relocate. An MLflow server keeps files for several machines"
            )


def _revision(connection: Connection) -> str | None:
    """Return the revision of MLflow's schema; None of a database that nobody finished making."""
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


def _recorded(connection: Connection) -> Path | None:
    """Return the folder of artifacts that the experiments speak of; None before the first one."""
    from sqlalchemy import text

    found = connection.scalar(
        text("SELECT artifact_location FROM experiments WHERE name LIKE 'clarify/%' LIMIT 1")
    )
    return None if found is None else Path(str(found)).parent


def _first_line(text: str) -> str:
    return text.split("(Background on this error")[0].split("[SQL:")[0].strip() or "no reason given"
