"""A store that may be busy or away: opened once, waited for within reason, told once when it is away."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from clarify.errors import AwayError
from clarify.track.backends import Backend
from clarify.track.deadline import OverdueError, within

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["Connection"]

ATTEMPTS = 4
WAIT_S = 10.0
"""For how long a store elsewhere is asked for before it counts as away."""

CALL_S, FILES_S = 30.0, 600.0
"""An answer of a store elsewhere that is not whole by then is not waited for: a limit for each byte would
wait for ever for a server that drips. The second is for what sends files, of a network among them."""

ASK_AGAIN_S = 5.0
"""Reading does not ask a store elsewhere again so soon whether it is there."""

T = TypeVar("T")

_TURNS: dict[str, threading.RLock] = {}
"""Who writes to a store, by its address: all that this process opened of one store share it."""


class Connection:
    """MLflow's client on a store, and whether the store is there.

    Parameters
    ----------
    say : callable
        Told in one line what takes long, and when the store is found to be away.
    then : callable
        Called once the store is open.
    """

    def __init__(self, backend: Backend, *, say: Callable[[str], None], then: Callable[[], object]) -> None:
        self.backend = backend
        self.away = ""  # why the store could not be reached when it was last needed; empty if it was
        self._say, self._then = say, then
        self._asked = -math.inf
        self._client: MlflowClient | None = None
        self._turn = _TURNS.setdefault(backend.address.shown, threading.RLock())

    @property
    def opened(self) -> bool:
        """Whether it was opened."""
        return self._client is not None

    def open(self) -> MlflowClient:
        """Open the store, made first where there is none, and return MLflow's client on it.

        Raises AwayError, StoreError as `TrackingStore.open`.
        """
        if self._client is None:
            with self.noting():
                self._client = self.backend.open(self._say)
            self._then()
        return self._client

    def close(self) -> None:
        """Open it anew the next time."""
        self._client = None

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Remember whether the store is away; it is told once."""
        try:
            yield
        except AwayError as error:
            if not self.away:
                self._say(f"note: {error}")
            self.away = str(error)
            self._asked = time.monotonic()
            raise
        self.away = ""
        self._asked = time.monotonic()

    @contextlib.contextmanager
    def turn(self, seconds: float) -> Iterator[None]:
        """Let one thread write at a time; AwayError if the turn does not come within so many seconds.

        MLflow holds a connection of its pool while it waits for a second one: as many writers as the pool
        has connections would wait for each other until all are refused.
        """
        if not self._turn.acquire(timeout=seconds):
            raise AwayError(
                f"the tracking store {self.backend.address.shown} is being written by others for "
                f"{seconds:.0f} s; run the same command again"
            )
        try:
            yield
        finally:
            self._turn.release()

    def reach(self, seconds: float) -> None:
        """Wait so long for a store that is busy; AwayError if it does not answer."""
        with self.noting():
            self.backend.reach(seconds)

    def trying(self, call: Callable[[int], T], *, attempts: int = ATTEMPTS, seconds: float = CALL_S) -> T:
        """Do what may meet a lock or a lost connection, several times before giving up.

        Of a store elsewhere each attempt may take so many seconds as a whole; then it counts as away.
        """
        self._ask_again()
        self.open()
        from mlflow.exceptions import MlflowException

        for attempt in range(attempts):
            try:
                return self._within(seconds, call, attempt)
            except (MlflowException, OSError) as error:
                trouble = self.backend.trouble(error)
                if self.backend.remote:
                    self.reach(WAIT_S)
                if not self.backend.passing(error):
                    raise trouble from None
            if attempt + 1 < attempts:
                time.sleep(0.5 * 2**attempt)
        with self.noting():
            raise trouble

    def _within(self, seconds: float, call: Callable[[int], T], attempt: int) -> T:
        if not self.backend.remote:
            return call(attempt)
        try:
            return within(seconds, lambda: call(attempt))
        except OverdueError:
            with self.noting():
                raise AwayError(
                    f"the tracking store {self.backend.address.shown} begins to answer and is not done "
                    f"within {seconds:.0f} s; look at its log and the network, then run the command again"
                ) from None

    def _ask_again(self) -> None:
        """Notice in time that a store elsewhere is away; MLflow would wait for longer."""
        if not self.backend.remote or time.monotonic() - self._asked < ASK_AGAIN_S:
            if self.away and self.backend.remote:
                raise AwayError(self.away)
            return
        if self.opened:
            self.reach(WAIT_S)
