"""Promise: in which classes a description would pay most, so that a thousand become a hundred.

A description pays where there are enough wrong images to see a pattern in, where some phrase of the
vocabulary tells them apart, and where the images on the side of the errors do much worse than the
class. For each class

    promise = n / (n + 10) * max(0, held_out) * max(0, room)

`n`
    wrong images; 10 is `FEW_WRONG`, where a score begins to be well founded.
`held_out`
    in [-1, 1]: the best phrases of one half of the class's images, with their cuts, scored on the
    other half; mean over `BEST_PHRASES` phrases and both ways of `HALVINGS` halvings.
`room`
    in [-1, 1]: the accuracy of the class less that of the side of the errors, on the same held-out
    images, mean over the same phrases and halves: what that side would gain if it did as well as
    the class.

All of it is measured on images that had no part in the choice, so a class without a pattern has a
promise about 0 however many phrases were searched. The mean over several phrases rather than the
best alone is for classes of some fifty images, where the best on a half is often luck.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from clarify.discover.halves import Half, ImagesOfClass, can_be_halved, halvings, scores_in_parts
from clarify.method.arrays import generator
from clarify.method.phrases.error_score import FEW_WRONG
from clarify.method.phrases.many_scores import best_sides

__all__ = ["BEST_PHRASES", "HALVINGS", "MOST_IMAGES", "Promise", "promise"]

BEST_PHRASES = 20
HALVINGS = 3
MOST_IMAGES = 4_000
"""Of a class with more images so many are drawn by a seed: they tell as much about its place."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Where one class stands; see the formula above.

    Parameters
    ----------
    promise : float
        In [0, 1]; higher is more worth a look. 0 where the class cannot be halved.
    held_out, room : float or None
        In [-1, 1]; None where the class has fewer than two right or two wrong images.
    n_right, n_wrong : int
        Images of the class, all of them.
    """

    promise: float
    held_out: float | None
    room: float | None
    n_right: int
    n_wrong: int


def promise(
    embeddings: NDArray[np.float32],
    classes: Sequence[ImagesOfClass],
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> tuple[Promise, ...]:
    """Say for each of K classes what a description of its errors promises.

    Parameters
    ----------
    embeddings : (P, D) float32, rows of unit length
        Of the vocabulary's phrases.
    classes : sequence of K ImagesOfClass
    seed : int
        Of the halves, and of the images drawn from very large classes.
    progress : callable, optional
        Called with the number of classes done.

    Returns
    -------
    tuple of K Promise
        In the order of the classes.

    Raises
    ------
    FeatureError
        For embeddings that do not fit, or are not finite.
    """
    found = []
    # A class is too small for more than one core; all of them are shared out.
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        for each in pool.map(lambda images: _of_class(embeddings, images, seed), classes):
            found.append(each)
            if progress is not None:
                progress(len(found))
    return tuple(found)


def _of_class(embeddings: NDArray[np.float32], images: ImagesOfClass, seed: int) -> Promise:
    n_right = int(images.right.sum())
    n_wrong = len(images.right) - n_right
    drawn = _drawn(images, seed)
    if not can_be_halved(drawn.right) or not len(embeddings):
        return Promise(promise=0.0, held_out=None, room=None, n_right=n_right, n_wrong=n_wrong)
    halves = halvings(drawn.right, count=HALVINGS, seed=seed)
    scores = scores_in_parts(drawn, embeddings, np.stack([each.chosen_on for each in halves]))
    checked = np.concatenate(
        [_checked(embeddings, drawn, half, of) for half, of in zip(halves, scores, strict=True)]
    )
    held_out, room = (float(each) for each in checked.mean(axis=0))
    return Promise(
        promise=n_wrong / (n_wrong + FEW_WRONG) * max(0.0, held_out) * max(0.0, room),
        held_out=held_out,
        room=room,
        n_right=n_right,
        n_wrong=n_wrong,
    )


def _checked(
    embeddings: NDArray[np.float32], images: ImagesOfClass, half: Half, scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return held-out score and room (M, 2) of the half's best phrases on the other half."""
    best = np.argsort(-scores, kind="stable")[:BEST_PHRASES]
    right, among = images.right, half.checked_on
    sides = best_sides(images.similarities(embeddings[best]), right, half.chosen_on)[:, among]
    wrong = ~right[among]
    held_out = sides[:, wrong].mean(axis=1) - sides[:, ~wrong].mean(axis=1)
    count = sides.sum(axis=1)
    on_side = (sides & ~wrong).sum(axis=1) / np.maximum(1, count)
    room = np.where(count > 0, right[among].mean() - on_side, 0.0)
    return np.stack((held_out, room), axis=1)


def _drawn(images: ImagesOfClass, seed: int) -> ImagesOfClass:
    count = len(images.right)
    if count <= MOST_IMAGES:
        return images
    rows = np.sort(generator(seed, "images").permutation(count)[:MOST_IMAGES])
    return ImagesOfClass(embeddings=images.embeddings[rows], right=images.right[rows])
