"""What all sessions of the dashboard share: data sets opened once, failures worked out once.

Everything here is read by many threads and changed under a lock; arrays are not changed at all.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from clarify.data.captions import captions_file
from clarify.data.manifest import find_manifests, open_manifest
from clarify.errors import ClarifyError, NotFoundError, nearest, shown
from clarify.track.listing import Listings
from clarify.track.runs import BaseRun
from clarify.workflow.describe.suggest import ClassSuggestions, suggest
from clarify.workflow.home.settling import changed_at
from clarify.workflow.model.failures import Failures, failures_of
from clarify.workflow.model.models import open_model, usable_runs
from clarify.workflow.model.project import split_data
from clarify.workflow.retrain.gains import POOL, gain_of, ranked
from clarify.workflow.retrain.preview import Previewed, preview_of, retrained

if TYPE_CHECKING:
    from clarify.data.manifest import Manifest
    from clarify.method.phrases.descriptions import Description
    from clarify.track.runs import RunOf
    from clarify.workflow.model.models import Model
    from clarify.workflow.model.project import SplitData, Workspace

__all__ = ["Desk", "Desks"]

FRESH_S = 1.0
"""For how long the list of data sets is used again."""

PAGE_S = 0.3
"""How long drawing a page may take."""

MOST_SUGGESTED = 12
"""Of the machine's phrases for a class, before those are left out that nothing confirms."""

KEPT_FAILURES = 4
KEPT_PREVIEWS = 1_000

Kept = TypeVar("Kept")
Stamp: TypeAlias = tuple[int, int, int]
"""When a data set's manifest, captions, and anything of its own encoders were written; 0 without any."""


class Desk:
    """One data set with its adapters, and what was worked out from them."""

    def __init__(self, project: Workspace) -> None:
        self.project = project
        self.trouble = ""
        """Why the last thing that was done in the background could not be; empty if it could."""
        self._lock = threading.RLock()
        self._splits: dict[tuple[str, str], SplitData] = {}
        self._failures: dict[str, Failures] = {}
        self._suggestions: dict[tuple[str, str], ClassSuggestions | str | None] = {}
        self._previews: dict[tuple[str, str, str, float], Future[tuple[tuple[Previewed, ...], float]]] = {}
        self._listings = Listings(project.tracking, project.manifest.name)
        # One thread, so that records are written in the order they were made; and another, so
        # that they do not wait for searches.
        self._writer = ThreadPoolExecutor(1, "records")
        self._thinker = ThreadPoolExecutor(1, "searches")

    def split(self, name: str, model: Model | None = None) -> SplitData:
        """Return a split's labels, and its features as a model takes them; read at first."""
        backbone = self.project.backbone if model is None else model.body(self.project)
        key = (name, backbone.identity.image_digest)
        with self._lock:
            if key not in self._splits:
                self._splits[key] = split_data(self.project, name, backbone)
            return self._splits[key]

    def runs(self, of: type[RunOf]) -> list[RunOf]:
        """Return the data set's runs of a kind, newest first; a few seconds old at most."""
        found = self._listings.runs(of)
        if self._listings.is_due():
            self._thinker.submit(self._listings.reread)
        return found

    def look_again(self) -> None:
        """Have the listings show what was written just now."""
        self._listings.refresh()

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
                self._failures[key] = failures_of(model, self.split("validation", model))
            return self._failures[key]

    def preview(self, failures: Failures, description: Description) -> tuple[tuple[Previewed, ...], float]:
        """Return what retraining with a phrase would do, and what it gains.

        Worked out at the first call; who asks meanwhile, as who keeps it before it is shown, waits for that.

        Raises
        ------
        GroupError
            If it cannot be retrained with.
        """
        key = (failures.model.run_id, description.class_name, description.phrase, description.threshold)
        with self._lock:
            known = self._previews.get(key)
            if first := known is None:
                while len(self._previews) >= KEPT_PREVIEWS:
                    self._previews.pop(next(iter(self._previews)))
                known = self._previews[key] = Future()
        if first:
            try:
                train = self.split("train", failures.model)
                found = retrained(self.project, failures, description, train)
                known.set_result((preview_of(self.project, found), gain_of(found).classes))
            except BaseException as error:
                known.set_exception(error)
                with self._lock:
                    self._previews.pop(key, None)
        return known.result()

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
            found = suggest(self.project, failures.model, failures.data, class_name, most=POOL)
            train = self.split("train", failures.model)
            found = ranked(self.project, failures, train, found, most=MOST_SUGGESTED)
        except Exception as error:  # nobody waits for it, so it is told where it is looked for
            found = _told(error)
        with self._lock:
            self._suggestions[key] = found

    def later(self, work: Callable[[], object]) -> None:
        """Do something in the background, after what was asked for before.

        Not at once: whoever asks is drawing a page, and somebody waits for that.
        """
        self._writer.submit(self._noting, work, time.monotonic() + PAGE_S)

    def _noting(self, work: Callable[[], object], begins: float) -> None:
        """Do it, and remember why it could not be done: nobody waits for its error."""
        time.sleep(max(0.0, begins - time.monotonic()))
        try:
            work()
            self._listings.refresh()
            self.trouble = ""
        except Exception as error:
            self.trouble = _told(error)

    def close(self) -> None:
        """Finish what is to be recorded, and drop what was only to be shown.

        Once Python ends by itself it starts no threads any more, and a record needs some.
        """
        self._thinker.shutdown(cancel_futures=True)
        self._writer.shutdown()

    def _newest_base(self) -> str:
        found = usable_runs(self.project, self.runs(BaseRun))
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
    open_project : callable
        Builds the adapters for a data set.
    """

    def __init__(self, home: Path, open_project: Callable[[str], Workspace]) -> None:
        self.home = home
        self._open_project = open_project
        self._lock = threading.Lock()
        self._open: dict[str, tuple[Stamp, Desk]] = {}
        self._manifests: dict[str, tuple[Stamp, Manifest]] = {}
        self._found: tuple[float, dict[str, Path]] = (float("-inf"), {})

    def names(self) -> list[str]:
        """Return the data sets of the home."""
        return list(self._places())

    def desk(self, name: str) -> Desk:
        """Return a data set's desk; opened anew if its manifest, captions or own encoders were changed.

        Raises
        ------
        ClarifyError
            If there is none of that name, or it cannot be opened.
        """
        return self._newest(self._open, name, lambda: Desk(self._open_project(name)))

    def manifest(self, name: str) -> Manifest:
        """Return a data set's manifest, without opening anything else."""
        return self._newest(self._manifests, name, lambda: open_manifest(self.home, name))

    def close(self) -> None:
        """Close every desk; see `Desk.close`."""
        with self._lock:
            for _, desk in self._open.values():
                desk.close()

    def _newest(self, kept: dict[str, tuple[Stamp, Kept]], name: str, make: Callable[[], Kept]) -> Kept:
        """Return what was made of a data set as it is now."""
        stamp = self._stamp(name)
        with self._lock:
            if name not in kept or kept[name][0] != stamp:
                kept[name] = (stamp, make())
            return kept[name][1]

    def _stamp(self, name: str) -> Stamp:
        found, captions = self._places(), captions_file(self.home, name)
        with contextlib.suppress(KeyError, FileNotFoundError):
            written = captions.stat().st_mtime_ns if captions.exists() else 0
            return found[name].stat().st_mtime_ns, written, changed_at(self.home, name)
        raise NotFoundError(f"there is no data set {shown(name)}; {nearest(name, found)}")

    def _places(self) -> dict[str, Path]:
        """Return the manifests' files by name, looked for anew every second."""
        when, found = self._found
        if time.monotonic() - when >= FRESH_S:
            found = find_manifests(self.home)
            self._found = (time.monotonic(), found)
        return found
