"""An overall limit for a call that waits for somebody else, who may answer a byte at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["OverdueError", "within"]

T = TypeVar("T")


class OverdueError(Exception):
    """A call was not over in time; it may go on, and nobody waits for it."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns, or raise what it raises; OverdueError once the time is over.

    It runs in a thread that does not keep the process alive: a read that waits cannot be interrupted.
    """
    ended: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            ended.append(call())
        except BaseException as error:  # raised below, where somebody waits for it
            failed.append(error)

    thread = threading.Thread(target=run, name="call", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not ended:
        raise OverdueError("overdue")
    return ended[0]
