"""The runs of a data set, cheap to ask for at every click.

MLflow takes milliseconds for each run that it lists. So each kind is read whole once, and after that only
what was written lately is asked for, in one question for all kinds, by one asker at a time; and nothing is
asked where the store's files tell that nobody wrote.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, cast

from clarify.errors import AwayError

if TYPE_CHECKING:
    from clarify.track.mlflow import TrackingStore
    from clarify.track.runs import Run, RunOf

__all__ = ["Listings"]

FRESH_S = 3.0
"""For how long listings are used without asking: other people's work is seen that soon."""

WHOLE_S, WHOLE_SHARE = 60.0, 0.05
"""What somebody deleted in MLflow is seen that soon, or later where reading everything would take more of
the time than this."""

OVERLAP_MS = 10_000
"""Runs that were written so much before the newest are asked for again: clocks differ."""


class Listings:
    """What a tracking store lists of one data set, for many threads."""

    def __init__(self, tracking: TrackingStore, data_set: str) -> None:
        self._tracking = tracking
        self._data_set = data_set
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._runs: dict[type[Run], list[Run]] = {}
        self._stamp: object | None = None
        self._asked = self._due = float("-inf")

    def runs(self, of: type[RunOf]) -> list[RunOf]:
        """Return the completed runs of a kind, newest first; a few seconds old at most.

        Raises AwayError, StoreError as `TrackingStore.runs`, where they were never read.
        """
        if of not in self._runs:
            with self._asking:
                if of not in self._runs:
                    self._read(of)
        elif time.monotonic() - self._asked >= FRESH_S and self._asking.acquire(blocking=False):
            try:
                self._ask()
            finally:
                self._asking.release()
        return cast("list[RunOf]", self._runs[of])

    def is_due(self) -> bool:
        """Whether `reread` is to be called by somebody who has time; true for one asker only."""
        with self._lock:
            due = bool(self._runs) and time.monotonic() >= self._due
            if due:
                self._due = float("inf")  # until it was done
            return due

    def refresh(self) -> None:
        """Ask for what was written since, if anybody wrote."""
        with self._asking:
            self._ask()

    def reread(self) -> None:
        """Read every kind whole, as something in them may have been deleted."""
        began = time.monotonic()
        try:
            for of in list(self._runs):
                self._read(of)
        finally:
            self._stamp = None  # what was written meanwhile is asked for again
            self._plan(time.monotonic() - began)

    def _read(self, of: type[Run]) -> None:
        began, newest = time.monotonic(), self._newest()
        found = self._tracking.runs(self._data_set, of)
        with self._lock:
            if not self._runs:
                self._asked = began
            # What came while it was read may not be in it.
            late = {run.id: run for run in self._runs.get(of, []) if run.changed > newest}
            found = [*late.values(), *(run for run in found if run.id not in late)]
            self._runs[of] = sorted(found, key=lambda run: -run.started)
        self._plan(time.monotonic() - began)

    def _plan(self, took: float) -> None:
        """Have everything read again, in a while that is long beside what it takes."""
        with self._lock:
            self._due = time.monotonic() + max(WHOLE_S, took / WHOLE_SHARE)

    def _ask(self) -> None:
        now, stamp = time.monotonic(), self._tracking.stamp()
        if stamp is None or stamp != self._stamp:
            with contextlib.suppress(AwayError):  # what was seen last goes on being shown
                since = max(0, self._newest() - OVERLAP_MS)
                self._add(self._tracking.runs_since(self._data_set, since))
        self._asked, self._stamp = now, stamp

    def _newest(self) -> int:
        return max((run.changed for runs in list(self._runs.values()) for run in runs), default=0)

    def _add(self, newer: list[Run]) -> None:
        known = {run.id for run in newer} | {run.delivery for run in newer if run.delivery}
        with self._lock:
            for of, runs in self._runs.items():
                # What waited in the outbox, and was delivered, is there under its own id now.
                kept = [run for run in runs if run.id not in known and run.delivery not in known]
                found = [*(run for run in newer if isinstance(run, of)), *kept]
                self._runs[of] = sorted(found, key=lambda run: -run.started)
