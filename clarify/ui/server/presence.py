"""Who is at the dashboard now, and since when: known to this process alone, and forgotten with it."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable

__all__ = ["Presence"]

STAYS_S = 300.0
"""Who clicked no longer ago is here; pages do nothing by themselves while somebody reads."""

NEW_VISIT_S = 3600.0
"""Who was away for so long comes anew."""


@dataclasses.dataclass(slots=True)
class _Visit:
    began: float
    last: float
    before: float | None = None


class Presence:
    """A register of visitors by name; any thread may use it.

    Parameters
    ----------
    clock : callable
        Gives seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._visits: dict[str, _Visit] = {}

    def saw(self, name: str) -> tuple[float, float | None]:
        """Note that somebody is here; returns when the visit began and the one before ended, if known."""
        now = self._clock()
        with self._lock:
            visit = self._visits.get(name)
            if visit is None or now - visit.last > NEW_VISIT_S:
                visit = _Visit(began=now, last=now, before=visit.last if visit else None)
                self._visits[name] = visit
            visit.last = now
            return visit.began, visit.before

    def here(self) -> list[str]:
        """Return who is here now, by name."""
        now = self._clock()
        with self._lock:
            return sorted(name for name, visit in self._visits.items() if now - visit.last <= STAYS_S)
