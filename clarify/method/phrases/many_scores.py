"""The error scores of many phrases on one class at once, each exactly that of `error_score`.

One sort a phrase serves the whole class and any parts of it: whether an image was wrong, and in
which parts it is, travels in the low bits of its similarity. A float32 number written as float64
leaves 29 bits free, so neither the order nor a tie changes.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from clarify.errors import FeatureError, InputError, NoScoreError
from clarify.method.arrays import bool_vector

__all__ = ["MOST_PARTS", "error_scores"]

MOST_PARTS = 16
"""Parts of a class that one sort can serve; each takes a bit."""

CELLS_AT_ONCE = 262_144
"""Similarities in work at a time in each thread: 2 MiB, which stays in the processor's cache."""


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
    Beside `similarity` about 10 MB a core are held. Cores share the phrases.
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
    rows = max(1, CELLS_AT_ONCE // max(1, len(correct)))

    def score(start: int) -> None:
        block = similarity[start : start + rows]
        found[:, start : start + rows] = _block_scores(block, flags, steps)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(score, range(0, len(similarity), rows)):
            pass
    sizes = (members & correct).sum(axis=1) * (members & ~correct).sum(axis=1)
    scores: NDArray[np.float64] = found / sizes[:, None]
    return scores


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


def _block_scores(
    block: NDArray[np.float32], flags: NDArray[np.int64], steps: NDArray[np.signedinteger]
) -> NDArray[np.int64]:
    """Return the largest differences (S, B) as whole numbers."""
    keys = np.add(block, 0.0, dtype=np.float64)  # and -0.0, which equals 0.0, becomes it
    bits = keys.view(np.int64)
    bits |= flags
    keys.sort(axis=1)
    if not np.isfinite(keys[:, [0, -1]]).all():  # sorting puts NaN and the infinities there
        raise FeatureError(
            "similarities: one is NaN or infinite; only finite numbers are legal, so embed the "
            "images and phrases again"
        )
    mask = steps.shape[1] - 1
    similarity = bits & ~mask
    tied = similarity[:, 1:] == similarity[:, :-1]
    bits &= mask
    found = np.empty((len(steps), len(block)), dtype=np.int64)
    for part, moves in enumerate(steps):
        difference = np.cumsum(moves[bits], axis=1, dtype=moves.dtype)
        difference[:, :-1][tied] = 0  # no cut lies between equal similarities
        found[part] = np.maximum(difference.max(axis=1), -difference.min(axis=1))
    return found
