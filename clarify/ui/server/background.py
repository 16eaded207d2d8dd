"""Work that takes long, done once beside the pages: every session sees the same result."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

__all__ = ["Background", "Job"]

PATIENCE_S = 10.0
"""How long the end of the process waits for work to stop: a thread cut off in torch aborts it."""


class _Stopped(BaseException):
    """The process ends, and the work with it."""


class Job:
    """One piece of work under way, or done.

    Attributes
    ----------
    said : str
        How far it is, in its own words.
    """

    def __init__(self) -> None:
        self.said = ""
        self._ended = threading.Event()
        self._stops = threading.Event()
        self._result: Any = None
        self._error: BaseException | None = None

    @property
    def done(self) -> bool:
        """Whether there is a result, or an error."""
        return self._ended.is_set()

    def say(self, what: str) -> None:
        """Tell how far it is; long work does so often, and is stopped here if the process ends."""
        self.said = what
        if self._stops.is_set():
            raise _Stopped

    def stop(self) -> None:
        """Let it end at its next word."""
        self._stops.set()

    def wait(self, timeout_s: float | None) -> None:
        """Wait until it has ended, but no longer than so; None waits for as long as it takes."""
        self._ended.wait(timeout_s)

    def result(self, timeout_s: float | None = None) -> Any:
        """Return what came of it; raises what it raised.

        Raises
        ------
        TimeoutError
            If it does not end in time.
        """
        if not self._ended.wait(timeout_s):
            raise TimeoutError(f"the work is not done after {timeout_s} s: {self.said}")
        if self._error is not None:
            raise self._error
        return self._result

    def run(self, work: Callable[[Job], Any]) -> None:
        """Do the work; whoever asks for the result is told what went wrong."""
        try:
            self._result = work(self)
        except BaseException as error:
            self._error = error
        self._ended.set()


class Background:
    """Starts each piece of work once, in a thread that does not keep the server from stopping.

    Parameters
    ----------
    most : int
        Results that are kept; the oldest is forgotten first, and worked out anew when asked for.
    """

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._jobs: dict[Hashable, Job] = {}
        atexit.register(self.stop)

    def once(self, key: Hashable, work: Callable[[Job], Any]) -> Job:
        """Return what becomes of a piece of work; the first call with a key starts it."""
        with self._lock:
            if key not in self._jobs:
                while len(self._jobs) >= self._most:
                    del self._jobs[next(iter(self._jobs))]
                self._jobs[key] = job = Job()
                threading.Thread(target=job.run, args=(work,), name=str(key), daemon=True).start()
            return self._jobs[key]

    def wait(self) -> None:
        """Wait until nothing is under way."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.wait(None)

    def forget(self, key: Hashable) -> None:
        """Start a piece of work anew next time: it failed."""
        with self._lock:
            self._jobs.pop(key, None)

    def stop(self) -> None:
        """End all work that is under way."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.stop()
        latest = time.monotonic() + PATIENCE_S
        for job in jobs:
            job.wait(latest - time.monotonic())
