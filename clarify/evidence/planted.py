"""Made-up features with planted slices, of the three kinds that dcbench knows: rare, correlated, noisy label.

Every image of two classes has a place, "a" or "b"; the words of the vocabulary are directions by chance, and
"b" is where the slice lies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clarify.errors import NotFoundError, nearest
from clarify.evidence.situation import Situation
from clarify.method.arrays import generator
from clarify.method.groups.groups import annotated_groups
from clarify.workflow.model.arrays import ArrayData, CallableEncoder, ClassNames, split_of
from clarify.workflow.model.project import SplitData

__all__ = ["PLANTED", "planted_slices"]

PLANTED = ("rare", "correlated", "noisy")
CLASSES, PLACES = ("class 0", "class 1"), ("a", "b")
WIDTH, WORDS, TRAIN, HELD = 64, 200, 2_000, 800

STRENGTH = 4.0
"""Of the place; noise has deviation 1 in each of the axes."""

SHARES = {"rare": 0.04, "noisy": 0.15}
HELD_SHARE = 0.2
"""Of validation and test images, how many lie in the slice; of the correlated half."""

FLIPPED = 0.7
"""Labels of training images in the noisy slice that are wrong."""


def planted_slices(kind: str, *, seed: int = 0) -> tuple[Situation, tuple[str, ...]]:
    """Return a data set with one kind of slice in both classes, and the vocabulary.

    *Rare* images look like the other class but for an axis that the others lack; with the *correlated* place
    goes the class, in 95 % of training; of the *noisy* ones most training labels are wrong.

    Raises
    ------
    NotFoundError
        For a kind that is not known.
    """
    if kind not in PLANTED:
        raise NotFoundError(f"no planted slice is called {kind!r}; {nearest(kind, PLANTED)}")
    rng = generator(seed, f"planted {kind}")
    basis = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    tells, rescues, place_axis = basis[:3]
    others = rng.normal(size=(WORDS - 1, WIDTH))
    words = np.vstack((place_axis, others / np.linalg.norm(others, axis=1, keepdims=True)))
    names = ("b", *(f"word {number}" for number in range(1, WORDS)))

    def encode(phrases: Sequence[str]) -> NDArray[np.float64]:
        return words[[names.index(each) for each in phrases]]

    def view(name: str, count: int) -> SplitData:
        labels = np.arange(count) % 2
        sign, seen = 2 * labels - 1, labels
        if kind == "correlated":
            # Held-out images are exactly even: by chance some draws would count as balanced, others not.
            usual = rng.random(count) < 0.95 if name == "train" else np.arange(count) // 2 % 2 == 0
            inside = np.where(usual, labels, 1 - labels).astype(bool)
        else:
            inside = rng.random(count) < (SHARES[kind] if name == "train" else HELD_SHARE)
        told = np.where(inside, -0.5, 1.0) if kind == "rare" else np.where(inside, 0.0, 1.0)
        if kind == "correlated":
            told = np.full(count, 0.6)
        features = rng.normal(size=(count, WIDTH)) + np.outer(1.5 * told * sign, tells)
        if kind != "correlated":
            features += np.outer(2.5 * inside * sign, rescues)
        features += np.outer(STRENGTH * (inside - 0.5), place_axis)
        if kind == "noisy" and name == "train":
            seen = np.where(inside & (rng.random(count) < FLIPPED), 1 - labels, labels)
        truth = annotated_groups(seen, CLASSES, np.array(PLACES)[inside.astype(int)], "place", values=PLACES)
        return split_of(name, features.astype(np.float32), seen, truth=truth)

    made = Situation(
        project=ArrayData(
            manifest=ClassNames(name=f"planted, {kind}", classes=CLASSES),
            encoder=CallableEncoder(encode=encode, name="made up"),
        ),
        encoder="made up",
        values=PLACES,
        train=view("train", TRAIN),
        validation=view("validation", HELD),
        test=view("test", HELD),
        phrases=dict.fromkeys(CLASSES, "b"),
        seed=seed,
        drawn=True,
    )
    return made, names
