"""Which images each step takes: functions of the seed and the step, so that nothing is remembered.

A training that was killed goes on with the very batches that it would have had, and several
processes agree on them without a word.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from clarify.errors import InputError
from clarify.method.arrays import generator

__all__ = ["Balanced", "Batches", "Shuffled"]

Rows = NDArray[np.int64]


class Shuffled:
    """Every image once an epoch, in an order drawn anew for each.

    Parameters
    ----------
    count : int
        Images, at least 1.
    size : int
        Images of a step; what is left over at the end of an epoch waits for another order.
    """

    def __init__(self, count: int, size: int, *, seed: int) -> None:
        self.size = min(size, count)
        self.steps_an_epoch = max(1, count // self.size)
        self._orders = _Orders(np.arange(count), f"{seed}", seed)

    def rows(self, step: int) -> Rows:
        """Return the rows (size,) of a step, counted from 0."""
        epoch, place = divmod(step, self.steps_an_epoch)
        return self._orders.of(epoch)[place * self.size : (place + 1) * self.size]


class Balanced:
    """As many images of every group in each step, each group in orders of its own.

    An epoch is as many steps as `Shuffled` has; small groups come round more often in it.

    Parameters
    ----------
    groups : (N,) int64
        Each image's group, in [0, G).
    names : sequence of G str
        For messages.
    size : int
        Images of a step; rounded down to a multiple of G.

    Raises
    ------
    InputError
        If a step cannot hold every group, or one has no image.
    """

    def __init__(self, groups: Rows, names: Sequence[str], size: int, *, seed: int) -> None:
        many = len(names)
        if size < many:
            raise InputError(
                f"a batch of {size} images cannot hold the {many} groups ({names[0]}, ...); "
                f"a batch size of {many} or more is legal"
            )
        members = [np.flatnonzero(groups == number) for number in range(many)]
        for name, rows in zip(names, members, strict=True):
            if not len(rows):
                raise InputError(f"group {name!r} has no training image; choose other phrases")
        self._each = size // many
        self.size = self._each * many
        self.steps_an_epoch = max(1, len(groups) // self.size)
        self._orders = [_Orders(rows, f"group {number}", seed) for number, rows in enumerate(members)]

    def rows(self, step: int) -> Rows:
        """Return the rows (size,) of a step, counted from 0, group after group."""
        return np.concatenate([self._of_group(orders, step) for orders in self._orders])

    def _of_group(self, orders: _Orders, step: int) -> Rows:
        first = step * self._each
        found, needed = [], self._each
        while needed:
            cycle, place = divmod(first + self._each - needed, orders.count)
            part = orders.of(cycle)[place : place + needed]
            found.append(part)
            needed -= len(part)
        return np.concatenate(found)


Batches: TypeAlias = Shuffled | Balanced


class _Orders:
    """Orders of some rows, one for each time that they come round."""

    def __init__(self, rows: Rows, name: str, seed: int) -> None:
        self.count = len(rows)

        @functools.lru_cache(maxsize=4)
        def drawn(cycle: int) -> Rows:
            return generator(seed, f"{name} round {cycle}").permutation(rows)

        self.of = drawn
