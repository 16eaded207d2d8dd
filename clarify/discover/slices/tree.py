"""Barlow: a small decision tree on the features that tell most of failure."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clarify.discover.slices.interface import ImageSlice, PhraseBank, SlicedImages

__all__ = ["barlow"]

FEATURES = 50
DEPTH = 3


def barlow(images: SlicedImages, bank: PhraseBank, *, most: int, seed: int) -> list[ImageSlice]:
    """Return the leaves of a tree for each class, those of the highest error rate times coverage first.

    Source: Singla et al. 2021, "Understanding Failures of Deep Networks via Robust Feature Extraction"
    (arXiv 2012.01750): 50 features of the highest mutual information with failure, a tree of depth 3 by
    entropy. There the features are a robust network's, here those of the model. Leaves that fail no more
    often than the class are left out.
    """
    from sklearn.feature_selection import mutual_info_classif
    from sklearn.tree import DecisionTreeClassifier

    found = []
    for label, own in images.by_class():
        told = mutual_info_classif(own.features, ~own.right, random_state=seed)
        columns = np.sort(np.argsort(-told, kind="stable")[:FEATURES])
        tree = DecisionTreeClassifier(
            criterion="entropy", max_depth=DEPTH, class_weight="balanced", random_state=seed
        ).fit(own.features[:, columns], ~own.right)
        leaves = tree.apply(own.features[:, columns])
        figures = [(leaf, *_rate_and_coverage(leaves == leaf, ~own.right)) for leaf in np.unique(leaves)]
        worse = [each for each in figures if each[1] > (~own.right).mean()]
        for leaf, rate, coverage in sorted(worse, key=lambda each: -each[1] * each[2])[:most]:
            name = f"leaf with {100 * rate:.0f} % wrong, {100 * coverage:.0f} % of the errors"
            score = functools.partial(_in_leaf, tree, columns, int(leaf))
            found.append(ImageSlice(name=name, score=score, label=label))
    return found


def _rate_and_coverage(inside: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> tuple[float, float]:
    return float(wrong[inside].mean()), float(inside[wrong].mean())


def _in_leaf(tree: Any, columns: NDArray[np.int64], leaf: int, images: SlicedImages) -> NDArray[np.float64]:
    return np.asarray(tree.apply(images.features[:, columns]) == leaf, dtype=np.float64)
