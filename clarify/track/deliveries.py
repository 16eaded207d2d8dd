"""What waits in the outbox for one store: listed among its runs, and delivered once the store is back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from clarify.errors import AwayError, StoreError
from clarify.track.outbox import DamagedError, Entry, Outbox
from clarify.track.run import WAITING, StoredRun

if TYPE_CHECKING:
    from clarify.track.artifacts import Artifact

__all__ = ["Deliveries"]

LOCK = ".lock"
"""In the outbox, held by who delivers."""


class Deliveries:
    """The way of descriptions from the outbox to one store.

    Parameters
    ----------
    outbox : Outbox
    store : str
        For whom they wait; what waits for another store stays.
    reach : callable
        Raises StoreError unless the store can be written just now.
    write : callable
        Writes an entry to the store, once however often it is tried; AwayError if the store does not answer,
        StoreError if it refuses.
    """

    def __init__(
        self, outbox: Outbox, store: str, *, reach: Callable[[], None], write: Callable[[Entry], object]
    ) -> None:
        self._outbox, self._store, self._reach, self._write = outbox, store, reach, write

    def deliver(self) -> int:
        """Write what waits to the store, each exactly once; return how many.

        One process at a time does; what is damaged is set aside, what the store refuses goes on
        waiting, and neither is in the way of the rest.
        """
        if not self._outbox.names():
            return 0
        delivered = 0
        try:
            with FileLock(self._outbox.folder / LOCK, timeout=0):
                self._reach()
                self._outbox.tidy()
                for each in self._outbox.names():
                    delivered += self._deliver(each)
        except (Timeout, StoreError, OSError):
            pass  # what waits goes on waiting, and `clarify doctor` shows it
        return delivered

    def attach(self, run_id: str, artifacts: Sequence[Artifact], *, patience: float) -> bool:
        """Add files to what waits under an id, while nobody delivers; whether it still waits.

        Raises
        ------
        AwayError
            If somebody delivers for longer than `patience`, in seconds.
        StoreError
            If the outbox cannot be written.
        """
        try:
            with FileLock(self._outbox.folder / LOCK, timeout=patience):
                entry = self.entry(run_id)
                if entry is not None:
                    self._outbox.attach(entry, artifacts)
        except Timeout:
            raise AwayError(
                f"the outbox {self._outbox.folder} is being delivered; its pictures can wait"
            ) from None
        return entry is not None

    def waiting(self, data_set: str, kind: str | None = None) -> list[StoredRun]:
        """Return what waits, of a kind or of every, as the runs that it will become; oldest first."""
        return [
            entry.as_run()
            for entry in self._outbox.waiting()
            if entry.store == self._store
            and kind in (None, entry.record.kind)
            and entry.record.tags["data_set"] == data_set
        ]

    def entry(self, run_id: str) -> Entry | None:
        """Return the record that waits under an id; None of a run, or of what was delivered."""
        with contextlib.suppress(DamagedError):
            return self._outbox.read(run_id.removeprefix(WAITING)) if run_id.startswith(WAITING) else None
        return None

    def _deliver(self, delivery: str) -> bool:
        """Deliver one entry, under the lock; whether it arrived."""
        try:
            entry = self._outbox.read(delivery)
        except DamagedError:
            self._outbox.set_aside(delivery)
            return False
        if entry is None or entry.store != self._store:
            return False
        try:
            self._write(entry)
        except AwayError:  # the others would only wait as long
            raise
        except StoreError:
            return False
        self._outbox.remove(delivery)
        return True
