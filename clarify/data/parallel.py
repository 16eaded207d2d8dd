"""Work on many files in threads, in order, with a word on how far it is."""

from __future__ import annotations

import collections
import dataclasses
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["Progress", "in_threads"]

AT_ONCE = 32  # items in one task: long enough to cost nothing, short enough for a moving bar
AHEAD = 4  # tasks a thread has waiting, so that a million results are never all in memory

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a long step is.

    Parameters
    ----------
    done, total : int
        Files, images, phrases: whatever it goes through.
    bad : int
        Those of them that could not be used.
    """

    done: int
    total: int
    bad: int


def in_threads(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    workers: int,
    progress: Callable[[Progress], None] | None = None,
) -> Generator[_Result, None, None]:
    """Yield the result of `work` for each item, in the items' order.

    Reading, hashing and decoding leave Python's lock, so threads share the cores. A result that is
    an exception (not one that is raised) counts as bad in the progress. Closing the iterator, or
    an error, stops what has not begun.

    Parameters
    ----------
    work : callable
        Called from several threads at once.
    workers : int
        Threads, at least 1.
    progress : callable, optional
        Called after every few items.
    """
    stopped = threading.Event()

    def several(start: int) -> list[_Result]:
        some = items[start : start + AT_ONCE]
        return [work(item) for item in some if not stopped.is_set()]

    starts = iter(range(0, len(items), AT_ONCE))
    done = bad = 0
    with ThreadPoolExecutor(workers, "files") as pool:
        try:
            waiting = collections.deque(pool.submit(several, at) for at in islice(starts, AHEAD * workers))
            while waiting:
                results = waiting.popleft().result()
                waiting.extend(pool.submit(several, at) for at in islice(starts, 1))
                done += len(results)
                bad += sum(isinstance(result, Exception) for result in results)
                yield from results
                if progress is not None:
                    progress(Progress(done=done, total=len(items), bad=bad))
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
