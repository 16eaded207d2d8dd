"""Pictures by content in one SQLite file: whole or absent, bounded, for several processes."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clarify.errors import InputError, StoreError

__all__ = ["Kept", "Stamp", "ThumbnailStore"]

FILE = "thumbnails-1.db"
MINUTE_NS = 60_000_000_000
PATIENCE_S = 60.0  # how long one process waits for another's write
# The triggers keep the sum, so that no write needs to add up all sizes.
SCHEMA = """
CREATE TABLE IF NOT EXISTS pictures
    (content TEXT PRIMARY KEY, picture BLOB NOT NULL, used INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS by_use ON pictures (used);
CREATE TABLE IF NOT EXISTS files
    (path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER,
     content TEXT NOT NULL REFERENCES pictures ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS by_content ON files (content);
CREATE TABLE IF NOT EXISTS total (bytes INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM total);
CREATE TRIGGER IF NOT EXISTS more AFTER INSERT ON pictures
    BEGIN UPDATE total SET bytes = bytes + length(NEW.picture); END;
CREATE TRIGGER IF NOT EXISTS less AFTER DELETE ON pictures
    BEGIN UPDATE total SET bytes = bytes - length(OLD.picture); END;
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A file as it was: another size or time means that it may hold something else."""

    path: bytes
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path, found: os.stat_result) -> Stamp:
        """Stamp a file by what the system tells of it."""
        name = os.fsencode(os.path.abspath(path))
        return cls(path=name, size=found.st_size, mtime_ns=found.st_mtime_ns)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A picture, the content (SHA-256) of the file that it shows, and that file's stamp."""

    stamp: Stamp
    content: str
    picture: bytes


class ThumbnailStore:
    """Pictures in a folder.

    Parameters
    ----------
    folder : Path
        Made when first used.
    max_bytes : int
        Of all pictures together; at least 1.

    Raises
    ------
    InputError
        If `max_bytes` is not legal.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        if max_bytes < 1:
            raise InputError(f"thumbnails: max_bytes is {max_bytes}; legal is 1 or more")
        self._folder = folder
        self._max_bytes = max_bytes

    def pictures(self, stamps: Sequence[Stamp | None]) -> list[bytes | None]:
        """Return the pictures of files, None where there is none; they count as used now.

        To the minute: looking at a picture again at once writes nothing.
        """
        with self._open() as store:
            found: list[bytes | None] = []
            used: list[tuple[int, str]] = []
            for stamp in stamps:
                row = self._row(
                    store, "content, picture, used FROM files JOIN pictures USING (content)", stamp
                )
                found.append(None if row is None else row[1])
                now = time.time_ns()
                if row is not None and now - row[2] > MINUTE_NS:
                    used.append((now, row[0]))
            if used:
                store.executemany("UPDATE pictures SET used = ? WHERE content = ?", used)
            return found

    def known(self, stamps: Sequence[Stamp | None]) -> list[bool]:
        """Return which files have a picture, without counting it as a use."""
        with self._open() as store:
            return [self._row(store, "1 FROM files", stamp) is not None for stamp in stamps]

    def add(self, batch: Sequence[Kept]) -> None:
        """Keep pictures in one step, and let the least recently used go if there are too many."""
        if not batch:
            return
        with self._open() as store:
            store.execute("BEGIN IMMEDIATE")
            for kept in batch:
                store.execute(
                    "INSERT INTO pictures VALUES (?, ?, ?) "
                    "ON CONFLICT (content) DO UPDATE SET used = excluded.used",
                    (kept.content, kept.picture, time.time_ns()),
                )
                values = (*dataclasses.astuple(kept.stamp), kept.content)
                store.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", values)
            self._make_room(store)

    def contents(self) -> frozenset[str]:
        """Return the contents that have a picture."""
        with self._open() as store:
            return frozenset(content for (content,) in store.execute("SELECT content FROM pictures"))

    def by_content(self, content: str) -> bytes | None:
        """Return the picture of a content."""
        with self._open() as store:
            row = store.execute("SELECT picture FROM pictures WHERE content = ?", (content,)).fetchone()
            return None if row is None else bytes(row[0])

    @property
    def total_bytes(self) -> int:
        """Bytes of all pictures."""
        with self._open() as store:
            return int(store.execute("SELECT bytes FROM total").fetchone()[0])

    @staticmethod
    def _row(store: sqlite3.Connection, what: str, stamp: Stamp | None) -> tuple[Any, ...] | None:
        if stamp is None:
            return None
        query = f"SELECT {what} WHERE path = ? AND size = ? AND mtime_ns = ?"
        row: tuple[Any, ...] | None = store.execute(query, dataclasses.astuple(stamp)).fetchone()
        return row

    def _make_room(self, store: sqlite3.Connection) -> None:
        too_many = store.execute("SELECT bytes FROM total").fetchone()[0] - self._max_bytes
        gone: list[tuple[str]] = []
        for content, size in store.execute("SELECT content, length(picture) FROM pictures ORDER BY used"):
            if too_many <= 0:
                break
            gone.append((content,))
            too_many -= size
        store.executemany("DELETE FROM pictures WHERE content = ?", gone)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction: a connection belongs to one thread."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            store = sqlite3.connect(self._folder / FILE, timeout=PATIENCE_S)
            with contextlib.closing(store), store:
                store.execute("PRAGMA foreign_keys = ON")
                # After a loss of power the last pictures may be missing: they are made again.
                store.execute("PRAGMA synchronous = NORMAL")
                self._prepare(store)
                yield store
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"thumbnails in {self._folder} cannot be used ({error}); make room there, or "
                "delete the folder: it is only a cache"
            ) from None

    def _prepare(self, store: sqlite3.Connection) -> None:
        import filelock

        if store.execute("PRAGMA user_version").fetchone()[0] == 1:
            return
        # Turning to a write-ahead log does not wait for its turn by itself.
        with filelock.FileLock(self._folder / "lock", timeout=PATIENCE_S):
            store.execute("PRAGMA journal_mode = WAL")
            store.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = 1; COMMIT;")
