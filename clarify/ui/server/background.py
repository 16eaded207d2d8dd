"""Work that takes long, done once beside the pages: every session sees the same result."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

__all__ = ["Background", "Say", "Work"]

Say = Callable[[str], None]
"""Tells how far a piece of work is; long work does so often, for it is stopped here at the end."""


class _Stopped(BaseException):
    """The server ends, and the work with it."""


@dataclasses.dataclass(slots=True)
class Work:
    """A piece of work: what becomes of it, and how far it is, in its own words."""

    future: Future[Any] = dataclasses.field(default_factory=Future)
    said: str = ""


class Background:
    """Starts each piece of work once.

    Python waits for the threads of a pool before it ends, so that none is cut off inside torch, which
    would abort the process. The server says `stop` when it ends: each piece then ends at its next word.

    Parameters
    ----------
    most : int
        Results that are kept; the oldest is forgotten first, and worked out anew when asked for.
    """

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._stops = threading.Event()
        self._threads = ThreadPoolExecutor(most, "background")
        self._works: dict[Hashable, Work] = {}

    def once(self, key: Hashable, do: Callable[[Say], Any]) -> Work:
        """Return what becomes of a piece of work; the first call with a key starts it."""
        with self._lock:
            if key not in self._works:
                while len(self._works) >= self._most:
                    del self._works[next(iter(self._works))]
                self._works[key] = work = Work()
                work.future = self._threads.submit(do, lambda what: self._say(work, what))
            return self._works[key]

    def _say(self, work: Work, what: str) -> None:
        work.said = what
        if self._stops.is_set():
            raise _Stopped

    def wait(self) -> None:
        """Wait until nothing is under way."""
        with self._lock:
            futures = [work.future for work in self._works.values()]
        wait(futures)

    def forget(self, key: Hashable) -> None:
        """Start a piece of work anew next time: it failed."""
        with self._lock:
            self._works.pop(key, None)

    def stop(self) -> None:
        """Let all work that is under way end at its next word, and start no more."""
        self._stops.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
