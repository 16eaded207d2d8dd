"""Runs that wait for the tracking store to come back, on this machine's disk.

One folder an entry, ``<home>/outbox/<delivery id>/``: `record.json`, the table of the data set and
the run's files, each with its hash. An entry is written under another name, flushed, and renamed
into place, so that it is whole or absent; it is removed the same way round. What cannot be read is
set aside in ``outbox/damaged/`` and kept. Nothing here imports MLflow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from clarify.data.files import sync_folder, write_atomically, writing
from clarify.errors import ClarifyError, NotFoundError
from clarify.track.artifacts import Artifact
from clarify.track.record import TAGS, DatasetRef, RunRecord
from clarify.track.run import WAITING, StoredRun

__all__ = ["DamagedError", "Entry", "Outbox"]

SCHEMA_VERSION = 1
RECORD = "record.json"
TABLE = "dataset.parquet"
HIDDEN = (".making-", ".done-")
ABANDONED_SECONDS = 3600
"""A folder in the making that is older was left by a process that died."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record that waits.

    Parameters
    ----------
    delivery : str
        Its id, equal for every attempt.
    store : str
        The address it is meant for, without password; empty for the home's own store.
    at : int
        When it was acknowledged, milliseconds since 1970.
    """

    delivery: str
    store: str
    at: int
    record: RunRecord

    @property
    def run_id(self) -> str:
        """What stands for its run until there is one."""
        return WAITING + self.delivery

    def as_run(self) -> StoredRun:
        """Return it as it will be listed."""
        record = self.record
        return StoredRun(
            id=self.run_id,
            kind=record.kind,
            name=record.name,
            params={name: str(value) for name, value in record.params.items()},
            metrics=dict(record.metrics),
            tags=dict(record.tags),
            started=self.at,
            delivery=self.delivery,
        )

    def content(self, path: str) -> bytes:
        """Return one of its files; NotFoundError if it has no such file."""
        for artifact in self.record.artifacts:
            if artifact.path == path:
                return artifact.content
        paths = ", ".join(each.path for each in self.record.artifacts)
        raise NotFoundError(f"run {self.run_id[:16]} has no file {path}; it has {paths}")


class DamagedError(Exception):
    """An entry of the outbox is not as it was written."""


class Outbox:
    """The records of a home that wait."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "outbox"
        self.damaged_folder = self.folder / "damaged"

    def put(self, entry: Entry) -> None:
        """Keep an entry; when this returns, it survives a loss of power.

        Raises
        ------
        StoreError
            If the disk is full or the home cannot be written.
        """
        making = self.folder / f"{HIDDEN[0]}{entry.delivery}"
        with writing(self.folder, hint="then describe again: this description was not kept"):
            new = not self.folder.exists()
            making.mkdir(parents=True)
            try:
                for name, content in _files(entry):
                    _write_through(making / name, content)
                sync_folder(making)
                making.rename(self.folder / entry.delivery)
            except BaseException:
                shutil.rmtree(making, ignore_errors=True)
                raise
            sync_folder(self.folder)
            if new:
                sync_folder(self.folder.parent)

    def attach(self, entry: Entry, artifacts: Sequence[Artifact]) -> None:
        """Add files to an entry that waits; whoever reads it meanwhile finds it without, or with all."""
        record = dataclasses.replace(entry.record, artifacts=(*entry.record.artifacts, *artifacts))
        place = self.folder / entry.delivery
        with writing(self.folder, hint="the description waits without its pictures"):
            for name, content in _files(dataclasses.replace(entry, record=record)):
                if name == RECORD:
                    write_atomically(place / name, [content])
                elif not (place / name).exists():
                    _write_through(place / name, content)

    def waiting(self) -> list[Entry]:
        """Return what waits and can be read, oldest first."""
        found: list[Entry] = []
        for delivery in self.names():
            with contextlib.suppress(DamagedError):
                entry = self.read(delivery)
                found += [entry] if entry is not None else []
        return sorted(found, key=lambda each: each.at)

    def names(self) -> list[str]:
        """Return the delivery ids of what waits, unread; of no folder, none."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return sorted(
                place.name
                for place in self.folder.iterdir()
                if place.is_dir() and place != self.damaged_folder and not place.name.startswith(HIDDEN)
            )
        return []

    def damaged(self) -> list[Path]:
        """Return what cannot be read, set aside already or not, kept for a person to look at."""
        found: list[Path] = []
        for delivery in self.names():
            try:
                self.read(delivery)
            except DamagedError:
                found.append(self.folder / delivery)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found += sorted(self.damaged_folder.iterdir())
        return found

    def read(self, delivery: str) -> Entry | None:
        """Return one entry; None if it does not wait (any more), or cannot be read just now.

        Raises
        ------
        DamagedError
            If it is not as it was written.
        """
        place = self.folder / delivery
        try:
            return _entry(place)
        except FileNotFoundError as error:
            if place.exists():
                raise DamagedError(f"{error.filename} is missing") from None
            return None
        except (ValueError, KeyError, TypeError, ClarifyError, pl.exceptions.PolarsError) as error:
            raise DamagedError(f"{place}: {error}") from None
        except OSError:
            return None

    def set_aside(self, delivery: str) -> None:
        """Move a damaged entry out of the way of the others; OSError as the system reports it."""
        self.damaged_folder.mkdir(exist_ok=True)
        (self.folder / delivery).rename(self.damaged_folder / delivery)

    def remove(self, delivery: str) -> None:
        """Drop a delivered entry, all of it at once."""
        done = self.folder / f"{HIDDEN[1]}{delivery}"
        (self.folder / delivery).rename(done)
        sync_folder(self.folder)
        shutil.rmtree(done, ignore_errors=True)

    def tidy(self) -> None:
        """Remove what killed processes left: entries that were never acknowledged, or delivered."""
        for place in self.folder.glob(f"{HIDDEN[1]}*"):
            shutil.rmtree(place, ignore_errors=True)
        for place in self.folder.glob(f"{HIDDEN[0]}*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - place.stat().st_mtime > ABANDONED_SECONDS:
                    shutil.rmtree(place, ignore_errors=True)


def _files(entry: Entry) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file of an entry, `record.json` last."""
    record = entry.record
    table = io.BytesIO()
    record.dataset.table.write_parquet(table)
    contents = {TABLE: table.getvalue()}
    contents |= {f"{n}": each.content for n, each in enumerate(record.artifacts)}
    yield from contents.items()
    body = {
        "delivery": entry.delivery,
        "store": entry.store,
        "at": entry.at,
        "kind": record.kind,
        "name": record.name,
        "params": dict(record.params),
        "metrics": dict(record.metrics),
        "tags": dict(record.tags),
        "data_set": {
            "name": record.dataset.name,
            "digest": record.dataset.digest,
            "source": record.dataset.source,
        },
        "artifacts": [each.path for each in record.artifacts],
        "hashes": {name: _hash(content) for name, content in contents.items()},
    }
    whole = {"schema_version": SCHEMA_VERSION, "hash": _hash(_canonical(body)), "record": body}
    yield RECORD, json.dumps(whole, ensure_ascii=False, indent=1).encode()


def _entry(place: Path) -> Entry:
    """Read an entry back; raises ValueError and others where it is not as it was written."""
    whole = json.loads((place / RECORD).read_text(encoding="utf-8"))
    body: dict[str, Any] = whole["record"]
    if whole["schema_version"] != SCHEMA_VERSION or whole["hash"] != _hash(_canonical(body)):
        raise ValueError(f"{place / RECORD} is not as it was written")
    if body["delivery"] != place.name:
        raise ValueError(f"{place} was renamed")
    contents = {name: (place / name).read_bytes() for name in body["hashes"]}
    for name, content in contents.items():
        if _hash(content) != body["hashes"][name]:
            raise ValueError(f"{place / name} is not as it was written")
    table = pl.read_parquet(io.BytesIO(contents[TABLE]))
    return Entry(
        delivery=body["delivery"],
        store=body["store"],
        at=body["at"],
        record=RunRecord(
            kind=body["kind"],
            name=body["name"],
            params=body["params"],
            metrics=body["metrics"],
            tags=dict.fromkeys(TAGS, "") | body["tags"],  # one kept before a tag was thought of
            artifacts=tuple(
                Artifact(path=path, content=contents[f"{n}"]) for n, path in enumerate(body["artifacts"])
            ),
            dataset=DatasetRef(table=table, **body["data_set"]),
        ),
    )


def _canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True).encode()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write_through(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
