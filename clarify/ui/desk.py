"""What all sessions of the dashboard share: data sets opened once, failures worked out once.

Everything here is read by many threads and changed under a lock; arrays are not changed at all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.data.manifest import find_manifests, open_manifest
from clarify.errors import ClarifyError, NotFoundError, nearest, shown
from clarify.workflow.failures import Failures, failures_of
from clarify.workflow.preview import Previewed, preview_retraining
from clarify.workflow.project import split_data
from clarify.workflow.runs import open_model, usable_runs
from clarify.workflow.suggest import ClassSuggestions, suggest

if TYPE_CHECKING:
    from clarify.data.manifest import Manifest
    from clarify.method.descriptions import Description
    from clarify.track.run import Run
    from clarify.workflow.project import Project, SplitData

__all__ = ["Desk", "Desks"]

FRESH_S = 3.0
"""For how long a listing of runs is used again: other people's work is seen that soon."""

KEPT_FAILURES = 4
KEPT_PREVIEWS = 1_000
WANTED_S = 2.0
"""A page that waits for a preview asks again far sooner than this."""


class Desk:
    """One data set with its adapters, and what was worked out from them.

    Parameters
    ----------
    project : Project
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.trouble = ""
        """Why the last thing that was done in the background could not be; empty if it could."""
        self._lock = threading.RLock()
        self._splits: dict[str, SplitData] = {}
        self._failures: dict[str, Failures] = {}
        self._suggestions: dict[tuple[str, str], ClassSuggestions | str | None] = {}
        self._wanted: dict[str, float] = {}
        self._previews: dict[str, tuple[Previewed, ...] | str | None] = {}
        self._runs: dict[str, tuple[float, list[Run]]] = {}
        # One thread, so that records are written in the order they were made; and another, so
        # that they do not wait for previews and searches.
        self._writer = ThreadPoolExecutor(1, "records")
        self._thinker = ThreadPoolExecutor(1, "previews")

    def split(self, name: str) -> SplitData:
        """Return a split's features and labels, read at the first call."""
        with self._lock:
            if name not in self._splits:
                self._splits[name] = split_data(self.project, name)
            return self._splits[name]

    def runs(self, kind: str) -> list[Run]:
        """Return the data set's runs of a kind, newest first; a few seconds old at most."""
        now = time.monotonic()
        with self._lock:
            when, found = self._runs.get(kind, (float("-inf"), []))
            if now - when < FRESH_S:
                return found
            found = self.project.tracking.runs(self.project.manifest.name, kind=kind)
            self._runs[kind] = (now, found)
            return found

    def forget_runs(self) -> None:
        """Read the listings anew next time: something was written."""
        with self._lock:
            self._runs.clear()

    def failures(self, run: str | None = None) -> Failures:
        """Return what a base model gets wrong on validation: the newest, or the one of a run.

        Raises
        ------
        NotFoundError
            If there is no base model, or no features; tells the next step.
        """
        with self._lock:
            key = run if run is not None else self._newest_base()
            if key not in self._failures:
                model = open_model(self.project, key)
                while len(self._failures) >= KEPT_FAILURES:
                    del self._failures[next(iter(self._failures))]
                self._failures[key] = failures_of(model, self.split("validation"))
            return self._failures[key]

    def preview(
        self, failures: Failures, description: Description
    ) -> tuple[Previewed, ...] | str | None:
        """Return what retraining with a phrase would do, or why it cannot; None while it thinks."""
        what = (failures.model.run_id, description.class_name, description.phrase,
                str(description.threshold))  # fmt: skip
        key = "\x1f".join(what)
        with self._lock:
            self._wanted[key] = time.monotonic()
            if key not in self._previews:
                while len(self._previews) >= KEPT_PREVIEWS:
                    self._previews.pop(next(iter(self._previews)))
                self._previews[key] = None
                self._thinker.submit(self._think, key, failures, description)
            return self._previews[key]

    def _think(self, key: str, failures: Failures, description: Description) -> None:
        found: tuple[Previewed, ...] | str
        with self._lock:
            if time.monotonic() - self._wanted.get(key, 0.0) > WANTED_S:
                self._previews.pop(key, None)  # whoever asked has gone on to another phrase
                return
        try:
            train = self.split("train")
            found = preview_retraining(self.project, failures, description, train)
        except Exception as error:  # nobody waits for it, so it is told where it is looked for
            found = _told(error)
        with self._lock:
            self._previews[key] = found

    def suggestions(self, failures: Failures, class_name: str) -> ClassSuggestions | str | None:
        """Return the machine's phrases for a class, or why there are none; None while it looks."""
        key = (failures.model.run_id, class_name)
        with self._lock:
            if key not in self._suggestions:
                self._suggestions[key] = None
                self._thinker.submit(self._search, key, failures)
            return self._suggestions[key]

    def _search(self, key: tuple[str, str], failures: Failures) -> None:
        _, class_name = key
        found: ClassSuggestions | str
        try:
            found = suggest(self.project, failures.model, failures.data, class_name)
        except Exception as error:  # nobody waits for it, so it is told where it is looked for
            found = _told(error)
        with self._lock:
            self._suggestions[key] = found

    def later(self, work: Callable[[], object]) -> None:
        """Do something in the background, after what was asked for before."""
        self._writer.submit(self._noting, work)

    def _noting(self, work: Callable[[], object]) -> None:
        """Do it, and remember why it could not be done: nobody waits for its error."""
        try:
            work()
            self.trouble = ""
        except Exception as error:
            self.trouble = _told(error)
        self.forget_runs()

    def close(self) -> None:
        """Finish what is to be recorded, and drop what was only to be shown.

        Once Python ends by itself it starts no threads any more, and a record needs some.
        """
        self._thinker.shutdown(cancel_futures=True)
        self._writer.shutdown()

    def _newest_base(self) -> str:
        found = usable_runs(self.project, self.runs("base"))
        if not found:
            name = self.project.manifest.name
            raise NotFoundError(
                f"data set {name} has no base model yet; run: clarify train {name}, or: clarify "
                f"predictions import {name} FILE"
            )
        return found[0].id


def _told(error: Exception) -> str:
    """Return what went wrong in the background, in one sentence."""
    if isinstance(error, ClarifyError):
        return str(error)
    logging.getLogger(__name__).error("in the background", exc_info=error)
    return f"it could not be worked out ({type(error).__name__}); the server's log says more"


class Desks:
    """Every data set of a home, opened when it is first asked for.

    Parameters
    ----------
    home : Path
    open_project : callable
        Builds the adapters for a data set.
    """

    def __init__(self, home: Path, open_project: Callable[[str], Project]) -> None:
        self.home = home
        self._open_project = open_project
        self._lock = threading.Lock()
        self._open: dict[str, tuple[int, Desk]] = {}
        self._manifests: dict[str, tuple[int, Manifest]] = {}

    def names(self) -> list[str]:
        """Return the data sets of the home."""
        return list(find_manifests(self.home))

    def desk(self, name: str) -> Desk:
        """Return a data set's desk; opened anew if its manifest was changed.

        Raises
        ------
        ClarifyError
            If there is none of that name, or it cannot be opened.
        """
        stamp = self._stamp(name)
        with self._lock:
            when, found = self._open.get(name, (-1, None))
            if found is None or when != stamp:
                found = Desk(self._open_project(name))
                self._open[name] = (stamp, found)
            return found

    def manifest(self, name: str) -> Manifest:
        """Return a data set's manifest, without opening anything else."""
        stamp = self._stamp(name)
        with self._lock:
            when, found = self._manifests.get(name, (-1, None))
            if found is None or when != stamp:
                found = open_manifest(self.home, name)
                self._manifests[name] = (stamp, found)
            return found

    def close(self) -> None:
        """Close every desk; see `Desk.close`."""
        with self._lock:
            for _, desk in self._open.values():
                desk.close()

    def _stamp(self, name: str) -> int:
        found = find_manifests(self.home)
        if name not in found:
            raise NotFoundError(f"there is no data set {shown(name)}; {nearest(name, found)}")
        return found[name].stat().st_mtime_ns
