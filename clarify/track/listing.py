"""The runs of a data set, cheap to ask for at every click.

MLflow takes more than a millisecond for each run that it lists. So each kind is read whole once,
and after that only what began lately is asked for, in one question for all kinds; and nothing is
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

WHOLE_S = 60.0
"""What others deleted, took back or delivered late is seen that soon."""

OVERLAP_MS = 10_000
"""Runs that began so much before the newest are asked for again: writing one takes time."""


class Listings:
    """What a tracking store lists of one data set, for many threads."""

    def __init__(self, tracking: TrackingStore, data_set: str) -> None:
        self._tracking = tracking
        self._data_set = data_set
        self._lock = threading.Lock()
        self._runs: dict[type[Run], list[Run]] = {}
        self._stamp: object | None = None
        self._asked = self._whole = float("-inf")

    def runs(self, of: type[RunOf]) -> list[RunOf]:
        """Return the completed runs of a kind, newest first; a few seconds old at most.

        Raises AwayError, StoreError as `TrackingStore.runs`, where they were never read.
        """
        if of not in self._runs:
            found = self._tracking.runs(self._data_set, of)
            with self._lock:
                if not self._runs:
                    self._asked = self._whole = time.monotonic()
                self._runs[of] = list(found)
        elif time.monotonic() - self._asked >= FRESH_S:
            self.refresh()
        return cast("list[RunOf]", self._runs.get(of, []))

    def is_due(self) -> bool:
        """Whether `reread` is to be called by somebody who has time; true for one asker only."""
        with self._lock:
            due = bool(self._runs) and time.monotonic() - self._whole >= WHOLE_S
            if due:
                self._whole = time.monotonic()
            return due

    def refresh(self) -> None:
        """Ask for what is new, if anybody wrote."""
        now, stamp = time.monotonic(), self._tracking.stamp()
        if stamp is None or stamp != self._stamp:
            with contextlib.suppress(AwayError):  # what was seen last goes on being shown
                self._add(self._tracking.runs_since(self._data_set, self._since()))
        self._asked, self._stamp = now, stamp

    def reread(self) -> None:
        """Read every kind whole, as something in them may have been changed."""
        for of in list(self._runs):
            found = self._tracking.runs(self._data_set, of)
            with self._lock:
                self._runs[of] = found

    def forget(self) -> None:
        """Read everything anew when it is asked for next: something was changed."""
        with self._lock:
            self._runs.clear()

    def _since(self) -> int:
        newest = (runs[0].started for runs in self._runs.values() if runs)
        return max(newest, default=OVERLAP_MS) - OVERLAP_MS

    def _add(self, newer: list[Run]) -> None:
        known = {run.id for run in newer} | {run.delivery for run in newer if run.delivery}
        with self._lock:
            for of, runs in self._runs.items():
                # What waited in the outbox, and was delivered, is there under its own id now.
                kept = [run for run in runs if run.id not in known and run.delivery not in known]
                found = [*(run for run in newer if isinstance(run, of)), *kept]
                self._runs[of] = sorted(found, key=lambda run: -run.started)
