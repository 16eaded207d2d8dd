"""The file of the tracking store, as SQLite sees it: where it lies, its age, who is writing.

MLflow upgrades or lists nothing without a word where a store is old or was moved; these checks come
first and say so. Nothing here imports MLflow.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from clarify.errors import AwayError, StoreError

__all__ = [
    "exists",
    "meaning",
    "recorded_artifacts",
    "relocate",
    "relocations",
    "revision",
    "stamp",
    "use_write_ahead_log",
    "wait_for_writers",
]

LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns of MLflow's schema that hold absolute places of artifacts."""

IN_HOME = "mlruns"
"""Folder of a home that holds the folder of artifacts."""

SOURCES = (
    "UPDATE datasets SET dataset_source = replace(dataset_source, :home, :new_home) "
    "WHERE dataset_source <> replace(dataset_source, :home, :new_home)"
)
"""Of the data sets, whose places are texts within JSON: where their images lie."""

SETTLED_NS = 100_000_000
FULL_BYTES = 1_000_000
"""With less free than this a disk counts as full: SQLite needs some tens of kilobytes to read at all."""


def exists(path: Path) -> bool:
    """Return whether there is a database; an empty file, left by a crash, is none."""
    return path.is_file() and path.stat().st_size > 0


def stamp(path: Path) -> tuple[tuple[int, int, int], ...] | None:
    """Return what differs once anybody has written to the database; None if that was just now.

    A write goes to the log beside the database, or from there into it, and either changes a file.
    Times on disk tick in hundredths of a second, so what was written right now does not count yet.
    """
    found = []
    for file in (path, path.with_name(path.name + "-wal")):
        with contextlib.suppress(FileNotFoundError):
            seen = os.stat(file)
            if time.time_ns() - seen.st_mtime_ns < SETTLED_NS:
                return None
            found.append((seen.st_ino, seen.st_size, seen.st_mtime_ns))
    return tuple(found)


def recorded_artifacts(path: Path) -> Path | None:
    """Return the folder of artifacts that the experiments speak of; None before the first one.

    Raises
    ------
    StoreError
        If the file is not an MLflow database, is damaged, or cannot be read.
    """
    rows = _rows(path, "SELECT artifact_location FROM experiments WHERE name LIKE 'clarify/%'")
    return Path(rows[0][0]).parent if rows else None


def revision(path: Path) -> str:
    """Return the revision of MLflow's schema that the database has, or ``none``.

    Raises StoreError as `recorded_artifacts`.
    """
    rows = _rows(path, "SELECT version_num FROM alembic_version")
    return str(rows[0][0]) if rows else "none"


def wait_for_writers(path: Path, seconds: float) -> None:
    """Wait until nobody else writes.

    Raises
    ------
    AwayError
        If somebody still does after that many seconds.
    StoreError
        If the disk is full or read-only.
    """
    with _translated(path, seconds), contextlib.closing(sqlite3.connect(path, seconds)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.rollback()


def use_write_ahead_log(path: Path) -> None:
    """Let writers and readers work side by side; stays with the file."""
    with contextlib.closing(sqlite3.connect(path, 20)) as database:
        database.execute("PRAGMA journal_mode=wal")


def relocate(path: Path, old: Path, new: Path) -> int:
    """Point every place below `old` to the same place below `new`; all or nothing.

    A copy of the database is kept beside it.

    Returns
    -------
    int
        How many places changed.
    """
    statements, values = relocations(old, new)
    with _translated(path, 20), contextlib.closing(sqlite3.connect(path, 20)) as database, database:
        copy = path.with_suffix(f".before-{time.time_ns()}.db")
        with contextlib.closing(sqlite3.connect(copy)) as kept:
            database.backup(kept)
        return sum(database.execute(each, values).rowcount for each in statements)


def relocations(old: Path, new: Path) -> tuple[list[str], dict[str, str | int]]:
    """Return the statements that point every place below `old` to the same below `new`, and values.

    So are the places of images below the home of either.
    """
    statements = [
        f"UPDATE {table} SET {column} = :new || substr({column}, :rest) "
        f"WHERE {column} = :old OR substr({column}, 1, :length) = :below"
        for table, column in LOCATIONS
    ]
    rest = len(str(old)) + 1
    values: dict[str, str | int] = {
        "new": str(new),
        "old": str(old),
        "below": f"{old}/",
        "rest": rest,
        "length": rest,
    }
    if old.parent.name == new.parent.name == IN_HOME:  # else nobody knows where the home was
        statements.append(SOURCES)
        homes = (json.dumps(str(place.parent.parent)).removesuffix('"') for place in (old, new))
        values |= dict(zip(("home", "new_home"), (f"{each}/" for each in homes), strict=True))
    return statements, values


def _rows(path: Path, query: str) -> list[tuple[str]]:
    with _translated(path, 20), contextlib.closing(sqlite3.connect(path, 20)) as database:
        return database.execute(query).fetchall()


@contextlib.contextmanager
def _translated(path: Path, seconds: float) -> Iterator[None]:
    """Turn what SQLite says into one line with a next step."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        said = str(error)
        if "locked" in said or "busy" in said:
            raise AwayError(
                f"the tracking store {path} has been locked by another process for {seconds:g} s; "
                "let that one finish or end it, then run the same command again"
            ) from None
        raise StoreError(f"the tracking store {path} {meaning(path, said)}") from None


def meaning(path: Path, said: str) -> str:
    """Turn what SQLite, or MLflow on it, says into the end of one line, with a next step."""
    # Of the files beside the database that find no room, SQLite says no more than this.
    io_error = "disk I/O error" in said
    full = shutil.disk_usage(path.parent).free < FULL_BYTES if io_error else "full" in said
    if full:
        return f"is on a full disk: {said}; make room, then run the same command again"
    if io_error:
        return f"is on a disk that failed: {said}; see the system's log, or choose another --home"
    if "no such table" in said:
        return (
            f"is not one that MLflow finished making ({said}); move it away to begin a new one, "
            "or restore a copy of it"
        )
    if "readonly" in said or "unable to open" in said:
        return f"cannot be used: {said}; free space, mend its permissions, or choose another --home"
    if "malformed" not in said and "not a database" not in said:
        return f"cannot be used: {said}; if it was changed by hand, restore a copy of it"
    return f"is damaged: {said}; restore a copy of it, or move it away to begin a new one"
