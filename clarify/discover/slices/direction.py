"""The direction of failure: a linear classifier of wrong against right within a class."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clarify.discover.slices.interface import ImageSlice, PhraseBank, SlicedImages

__all__ = ["failure_direction"]

PENALTIES = tuple(float(each) for each in np.logspace(-6, 0, 7))
FOLDS = 2


def failure_direction(images: SlicedImages, bank: PhraseBank, *, most: int, seed: int) -> list[ImageSlice]:
    """Return one slice a class: how far an image lies towards the wrong ones.

    Source: Jain et al. 2023, "Distilling Model Failures as Directions in Latent Space" (arXiv 2206.14754):
    a linear SVM with balanced classes on standardised embeddings, its penalty chosen by cross-validation.
    Both are as there; that two folds choose by balanced accuracy is as in the authors' code.
    """
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    found = []
    for label, own in images.by_class():
        search = GridSearchCV(
            make_pipeline(StandardScaler(), SVC(kernel="linear", class_weight="balanced")),
            {"svc__C": PENALTIES},
            scoring="balanced_accuracy",
            cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
        ).fit(own.embeddings.astype(np.float64), ~own.right)
        score = functools.partial(_towards_wrong, search.best_estimator_)
        found.append(ImageSlice(name="direction of failure", score=score, label=label))
    return found


def _towards_wrong(fitted: Any, images: SlicedImages) -> NDArray[np.float64]:
    return np.asarray(fitted.decision_function(images.embeddings.astype(np.float64)))
