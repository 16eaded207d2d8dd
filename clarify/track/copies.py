"""Copies of what was read from a tracking store elsewhere, for when it is away.

Completed runs never change, so a file of one is read once. A listing may lack the newest runs: it
is used only while the store cannot be asked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from clarify.data.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify.track.run import StoredRun

__all__ = ["Copies"]


class Copies:
    """What this home has read of one store.

    Parameters
    ----------
    address : str
        The store's, without password; each has a folder of its own.
    """

    def __init__(self, home: Path, address: str) -> None:
        name = hashlib.sha256(address.encode()).hexdigest()[:16]
        self.folder = home / "cache" / "tracking" / name

    def keep_runs(self, data_set: str, kind: str, runs: Sequence[StoredRun]) -> None:
        """Remember a listing."""
        text = json.dumps([dataclasses.asdict(run) for run in runs], ensure_ascii=False)
        self._keep(self._listing(data_set, kind), text.encode())

    def runs(self, data_set: str, kind: str) -> list[StoredRun] | None:
        """Return the listing as it was last seen; None if it never was."""
        from clarify.track.run import StoredRun

        content = _read(self._listing(data_set, kind))
        if content is None:
            return None
        with contextlib.suppress(ValueError, TypeError):  # damaged: as if never seen
            return [StoredRun(**each) for each in json.loads(content)]
        return None

    def keep_artifact(self, run_id: str, path: str, content: bytes) -> None:
        """Remember a file of a completed run."""
        self._keep(self._artifact(run_id, path), content)

    def artifact(self, run_id: str, path: str) -> bytes | None:
        """Return a file of a run; None if it was never read."""
        return _read(self._artifact(run_id, path))

    def _listing(self, data_set: str, kind: str) -> Path:
        return self.folder / "runs" / f"{quote(data_set, safe='')}-{kind}.json"

    def _artifact(self, run_id: str, path: str) -> Path:
        return self.folder / "artifacts" / run_id / quote(path, safe="")

    def _keep(self, place: Path, content: bytes) -> None:
        """Write a copy; a disk that is full only means that there is none."""
        if _read(place) == content:
            return
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(place, [content])


def _read(place: Path) -> bytes | None:
    try:
        return place.read_bytes()
    except OSError:
        return None
