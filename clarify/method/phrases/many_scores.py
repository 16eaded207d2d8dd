"""The error scores of many phrases on one class at once, each exactly that of `error_score`.

One sort a phrase serves the whole class and any parts of it: whether an image was wrong, and in
which parts it is, travels in the low bits of its similarity. A float32 number written as float64
leaves 29 bits free, so neither the order nor a tie changes. A cosine alone leaves one bit of its own
32 free, which is enough where there are no parts: half the bytes sort in half the time.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clarify.errors import FeatureError, InputError, NoScoreError
from clarify.method.arrays import bool_vector

__all__ = ["MOST_PARTS", "best_sides", "error_scores"]

MOST_PARTS = 16
"""Parts of a class that one sort can serve; each takes a bit."""

CELLS_AT_ONCE = 65_536
"""Similarities in work at a time in each thread: half a MiB, which stays in a core's cache."""

LEAST_A_THREAD = 262_144
"""Similarities for which another thread pays."""

FITS = 2.0
"""Below it a float32 number does without its second bit, the highest of its exponent."""


def error_scores(
    similarity: NDArray[np.float32], right: NDArray[np.bool_], parts: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Score P phrases on one class, and on parts of it.

    Parameters
    ----------
    similarity : (P, N) float32
        Of each phrase with each image of the class.
    right : (N,) bool
        Which images the model got right.
    parts : (S, N) bool, optional
        Which images are in each part, S at most `MOST_PARTS`; one part of all of them unless
        given.

    Returns
    -------
    ndarray of float64, (S, P)
        In [0, 1], 0 chance, 1 perfect: ``error_score(...).value`` of the right and the wrong
        images of the part.

    Raises
    ------
    NoScoreError
        Where a part has no right or no wrong image.
    FeatureError
        Where `similarity` is not float32 of shape (P, N), or has NaN or infinity.
    InputError
        Where `right` or `parts` have another type or shape.

    Notes
    -----
    Beside `similarity` about 2 MB a core are held. Cores share the phrases of a large class.
    """
    correct = bool_vector(right, what="right")
    if similarity.dtype != np.float32 or similarity.shape[1:] != correct.shape:
        raise FeatureError(
            f"similarities: {similarity.dtype} of shape {similarity.shape}; float32 of shape "
            f"(phrases, {len(correct)}) is legal"
        )
    members = np.ones((1, len(correct)), dtype=np.bool_) if parts is None else parts
    flags, steps = _flags(correct, members), _steps(correct, members)
    found = np.empty((len(members), len(similarity)))
    rows = max(1, min(len(similarity), CELLS_AT_ONCE // max(1, len(correct))))
    starts = range(0, len(similarity), rows)
    threads = min(len(starts), similarity.size // LEAST_A_THREAD or 1, os.cpu_count() or 1)

    def score(thread: int) -> None:
        room = _Room(rows * len(correct))
        for start in starts[thread::threads]:
            keys, flag_bits = _sorted_keys(similarity[start : start + rows], flags, steps, room)
            for part, difference in enumerate(_differences(keys, flag_bits, steps, room)):
                found[part, start : start + rows] = np.maximum(
                    difference.max(axis=1), -difference.min(axis=1)
                )

    if threads == 1:  # of a small class: another thread costs more than it saves
        score(0)
    elif threads:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(score, range(threads)):
                pass
    sizes = (members & correct).sum(axis=1) * (members & ~correct).sum(axis=1)
    scores: NDArray[np.float64] = found / sizes[:, None]
    return scores


def best_sides(
    similarity: NDArray[np.float32], right: NDArray[np.bool_], chosen_on: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which images lie on the side of the errors by the best cut of each of a few phrases.

    Parameters
    ----------
    similarity : (P, N) float32
    right, chosen_on : (N,) bool
        Which images the model got right, and which the cuts are chosen on; right and wrong ones among them.

    Returns
    -------
    ndarray of bool, (P, N)
        ``error_score(...).wrong_side`` of each phrase, of images outside `chosen_on` too.
    """
    correct = right[chosen_on]
    everybody = np.ones((1, len(correct)), dtype=np.bool_)
    flags, steps = _flags(correct, everybody), _steps(correct, everybody)
    room, among = _Room(len(similarity) * len(correct)), np.ascontiguousarray(similarity[:, chosen_on])
    keys, flag_bits = _sorted_keys(among, flags, steps, room)
    values = _similarities_of(keys, flag_bits)
    (difference,) = _differences(keys, flag_bits, steps, room)
    reached = np.abs(difference)
    best = reached.max(axis=1)
    # Of equally good cuts the one in the widest gap, then the lowest, which argmax takes.
    widths = np.where(reached[:, :-1] == best[:, None], np.diff(values), -1.0)
    rows, place = np.arange(len(values)), widths.argmax(axis=1)
    few = among[:, ~correct if 2 * correct.sum() >= len(correct) else correct].max(axis=1)
    below = np.where(best > 0, values[rows, place], few)
    above = np.where(best > 0, values[rows, place + 1], few)
    middle = (below / 2 + above / 2).astype(np.float32).astype(np.float64)  # `threshold_between`, of singles
    threshold = np.where((below <= middle) & (middle < above), middle, below)
    sides: NDArray[np.bool_] = similarity > threshold[:, None]
    sides ^= (difference[rows, place] >= 0)[:, None]
    return sides


def _flags(correct: NDArray[np.bool_], members: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return what travels with each image (N,): bit 0 is wrong, bit 1 + s is in part s."""
    if members.dtype != np.bool_ or members.ndim != 2 or members.shape[1] != len(correct):
        raise InputError(
            f"parts: {members.dtype} of shape {members.shape}; booleans of shape "
            f"(parts, {len(correct)}) are legal"
        )
    if len(members) > MOST_PARTS:
        raise InputError(f"parts: {len(members)} of them; at most {MOST_PARTS} are legal")
    flags = (~correct).astype(np.int64)
    for part, inside in enumerate(members):
        flags |= inside.astype(np.int64) << (1 + part)
    return flags


def _steps(correct: NDArray[np.bool_], members: NDArray[np.bool_]) -> NDArray[np.signedinteger]:
    """Return by part and flags how the difference of the distributions moves at an image.

    In whole numbers: up by the part's right images at a wrong one, down by its wrong images at a
    right one, so that the difference ends at 0; not at all at an image outside the part.
    """
    n_correct = (members & correct).sum(axis=1)
    n_wrong = (members & ~correct).sum(axis=1)
    for rights, wrongs in zip(n_correct, n_wrong, strict=True):
        if not rights or not wrongs:
            done, kind = ("right", "wrong") if rights else ("wrong", "right")
            raise NoScoreError(
                f"no error score: all {rights + wrongs} images were predicted {done}, none {kind}; "
                "it needs at least one of each, so choose another class"
            )
    codes = np.arange(2 << len(members))
    inside = (codes >> (1 + np.arange(len(members)))[:, None]) & 1
    moves = np.where(codes & 1, n_correct[:, None], -n_wrong[:, None]) * inside
    fits = int((n_correct * n_wrong).max()) < 2**31
    dtype = np.int32 if fits else np.int64
    found: NDArray[np.signedinteger] = moves.astype(dtype)
    return found


class _Room:
    """Memory of one thread, used again by every block: fresh pages cost as much as a sort."""

    def __init__(self, cells: int) -> None:
        self._parts = np.empty((4, cells), dtype=np.int64)

    def take(
        self, part: int, dtype: type[np.generic] | np.dtype[Any], shape: tuple[int, ...]
    ) -> NDArray[Any]:
        """Return part 0 to 3 as an array with whatever was left in it."""
        taken: NDArray[Any] = self._parts[part].view(dtype)[: math.prod(shape)].reshape(shape)
        return taken


def _sorted_keys(
    block: NDArray[np.float32], flags: NDArray[np.int64], steps: NDArray[np.signedinteger], room: _Room
) -> tuple[NDArray[np.signedinteger], int]:
    """Return whole numbers (B, N) in the order of each phrase's similarities, flags in so many low bits.

    They lie in part 0 of the room; part 1 is written over.
    """
    everybody = len(steps) == 1 and bool((flags >> 1).all())
    if everybody and steps.dtype == np.int32 and block.max() < FITS and block.min() > -FITS:
        keys, turned = (room.take(part, np.int32, block.shape) for part in (0, 1))
        np.add(block, np.float32(0), out=keys.view(np.float32))  # -0.0, which equals 0.0, becomes it
        np.right_shift(keys, 31, out=turned)
        turned &= 0x7FFFFFFF
        keys ^= turned  # the order of numbers below 0 is turned round
        keys <<= 1
        keys |= (flags & 1).astype(np.int32)
        keys.sort(axis=1)
        return keys, 1
    keys = room.take(0, np.int64, block.shape)
    doubles = keys.view(np.float64)
    np.add(block, 0.0, out=doubles)
    keys |= flags
    doubles.sort(axis=1)
    if not np.isfinite(doubles[:, [0, -1]]).all():  # sorting puts NaN and the infinities there
        raise FeatureError(
            "similarities: one is NaN or infinite; only finite numbers are legal, so embed the "
            "images and phrases again"
        )
    return keys, 1 + len(steps)


def _similarities_of(keys: NDArray[np.signedinteger], flag_bits: int) -> NDArray[np.float64]:
    """Return the similarities (B, N) that sorted keys were made of."""
    if keys.dtype == np.int64:
        return (keys >> flag_bits << flag_bits).view(np.float64)
    bits = keys >> flag_bits
    bits ^= bits >> 31 & 0x7FFFFFFF
    return bits.view(np.float32).astype(np.float64)


def _differences(
    keys: NDArray[np.signedinteger], flag_bits: int, steps: NDArray[np.signedinteger], room: _Room
) -> Iterator[NDArray[np.signedinteger]]:
    """Yield of each part how far its distributions are apart (B, N) behind each sorted similarity.

    In whole numbers, 0 between equal similarities, where no cut lies. Keys are used up; what is yielded is
    written over by the next.
    """
    mask, shape = (1 << flag_bits) - 1, keys.shape
    unsigned = np.dtype(f"u{keys.itemsize}")
    apart = room.take(1, unsigned, (shape[0], shape[1] - 1))
    np.bitwise_xor(keys.view(unsigned)[:, 1:], keys.view(unsigned)[:, :-1], out=apart)
    tied = np.less_equal(apart, mask, out=room.take(3, np.bool_, apart.shape))
    rows = np.flatnonzero(tied.any(axis=1))
    keys &= mask
    for moves in steps:
        if flag_bits == 1:  # two steps need no look into a table
            moved = np.multiply(keys, moves[-1] - moves[-2], out=keys)
            moved += moves[-2]
        else:
            moved = np.take(moves, keys, out=room.take(1, moves.dtype, shape), mode="clip")
        difference = np.cumsum(moved, axis=1, out=room.take(2, moves.dtype, shape))
        if len(rows):
            among = difference[rows]
            among[:, :-1][tied[rows]] = 0
            difference[rows] = among
        yield difference
