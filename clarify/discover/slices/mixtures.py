"""Mixtures of Gaussians: Domino over all classes, and the mixture within a class of FACTS."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clarify.discover.slices.interface import ImageSlice, PhraseBank, SlicedImages

__all__ = ["ErrorAwareMixture", "domino", "facts"]

COMPONENTS_OF_PCA = 128
TOLERANCE, MOST_ITERATIONS, REGULARISED = 1e-3, 100, 1e-6
TINY = 1e-300

DOMINO_COMPONENTS = 25
DOMINO_WEIGHT = 10.0
"""Of labels, and of predictions, beside the embeddings; the authors' choice on their benchmark."""

NOISE = 1e-3

FACTS_COMPONENTS = 36
FACTS_WEIGHT = 25.0
IMAGES_A_COMPONENT = 10

Array = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorAwareMixture:
    """Domino's mixture of S components, fitted.

    Parameters
    ----------
    weights : (S,) float64
    means, variances : (S, D) float64
        Diagonal.
    labels, predictions : (S, C) float64
        The share of each class in a component, by label and by the model.
    label_weight, prediction_weight : float
        What both count beside the embeddings; at 0 it is a plain mixture of Gaussians.
    """

    weights: Array
    means: Array
    variances: Array
    labels: Array
    predictions: Array
    label_weight: float
    prediction_weight: float

    def logs(self, z: Array, labels: Array, predictions: Array) -> Array:
        """Return the weighted log-likelihood (N, S) of images (N, D) with labels and predictions (N, C)."""
        precisions = 1 / self.variances
        distances = (
            np.square(z) @ precisions.T
            - 2 * z @ (self.means * precisions).T
            + (np.square(self.means) * precisions).sum(axis=1)
        )
        normal = -0.5 * (z.shape[1] * np.log(2 * np.pi) + np.log(self.variances).sum(axis=1) + distances)
        by_label = np.log(np.maximum(labels @ self.labels.T, TINY))
        by_prediction = np.log(np.maximum(predictions @ self.predictions.T, TINY))
        shares = np.log(np.maximum(self.weights, TINY))
        return np.asarray(
            shares + normal + self.label_weight * by_label + self.prediction_weight * by_prediction
        )

    @classmethod
    def step(
        cls, z: Array, labels: Array, predictions: Array, responsible: Array, weights: tuple[float, float]
    ) -> ErrorAwareMixture:
        """Return the mixture that responsibilities (N, S) make: the M step."""
        counts = responsible.sum(axis=0) + 10 * np.finfo(np.float64).eps
        means = responsible.T @ z / counts[:, None]
        return cls(
            weights=counts / counts.sum(),
            means=means,
            variances=np.maximum(responsible.T @ np.square(z) / counts[:, None] - np.square(means), 0)
            + REGULARISED,
            labels=responsible.T @ labels / counts[:, None],
            predictions=responsible.T @ predictions / counts[:, None],
            label_weight=weights[0],
            prediction_weight=weights[1],
        )

    @classmethod
    def fit(
        cls, z: Array, labels: Array, predictions: Array, start: Array, weights: tuple[float, float]
    ) -> ErrorAwareMixture:
        """Fit it by expectation and maximisation from responsibilities (N, S)."""
        from scipy.special import logsumexp

        fitted, before = cls.step(z, labels, predictions, start, weights), -np.inf
        for _ in range(MOST_ITERATIONS):
            logs = fitted.logs(z, labels, predictions)
            every = logsumexp(logs, axis=1)
            fitted = cls.step(z, labels, predictions, np.exp(logs - every[:, None]), weights)
            now = float(every.mean())
            if abs(now - before) < TOLERANCE:
                break
            before = now
        return fitted


def domino(images: SlicedImages, bank: PhraseBank, *, most: int, seed: int) -> list[ImageSlice]:
    """Return the components in which the model predicts a class most above its share.

    Source: Eyuboglu et al. 2022, "Domino: Discovering Systematic Errors with Cross-Modal Embeddings" (arXiv
    2203.14960). PCA to 128, 25 diagonal Gaussians that also explain labels and predictions, each starting in
    a cell of the confusion matrix. Where there are more cells than components, the largest get one.
    """
    from sklearn.decomposition import PCA

    z, classes = images.embeddings.astype(np.float64), images.probabilities.shape[1]
    pca = PCA(min(COMPONENTS_OF_PCA, *z.shape), random_state=seed).fit(z)
    fitted = ErrorAwareMixture.fit(
        pca.transform(z),
        np.eye(classes)[images.labels],
        images.probabilities,
        _in_cells(images, min(DOMINO_COMPONENTS, len(z)), seed),
        (DOMINO_WEIGHT, DOMINO_WEIGHT),
    )
    wrong = (fitted.predictions - fitted.labels).max(axis=1)
    return [
        ImageSlice(name=f"component {number}", score=functools.partial(_of_component, pca, fitted, number))
        for number in np.argsort(-wrong, kind="stable")[:most].tolist()
    ]


def _in_cells(images: SlicedImages, count: int, seed: int) -> Array:
    """Return responsibilities (N, S): each component has the images of one cell of the confusion matrix."""
    cells = images.labels * images.probabilities.shape[1] + images.predicted
    known, sizes = np.unique(cells, return_counts=True)
    largest = known[np.argsort(-sizes, kind="stable")]
    of_component = np.array(list(itertools.islice(itertools.cycle(largest.tolist()), count)))
    noise = np.random.default_rng(seed).uniform(0, NOISE, size=(len(cells), count))
    start = (cells[:, None] == of_component) + noise
    return np.asarray(start / start.sum(axis=1, keepdims=True))


def _of_component(pca: Any, fitted: ErrorAwareMixture, number: int, images: SlicedImages) -> Array:
    from scipy.special import log_softmax

    logs = fitted.logs(
        pca.transform(images.embeddings.astype(np.float64)),
        np.eye(images.probabilities.shape[1])[images.labels],
        images.probabilities,
    )
    return np.asarray(log_softmax(logs, axis=1)[:, number])


def facts(images: SlicedImages, bank: PhraseBank, *, most: int, seed: int) -> list[ImageSlice]:
    """Return the components of a mixture within each class, the highest error rate times coverage first.

    Source: Yenamandra et al. 2023, "FACTS: First Amplify Correlations and Then Slice" (arXiv 2309.17430):
    36 diagonal Gaussians on 128 principal components with the model's probabilities appended. The second
    half of the paper only: the model that amplifies correlations is the one that is explained. A class with
    few images has a component for ten of them.
    """
    from sklearn.decomposition import PCA
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    found = []
    for label, own in images.by_class():
        x, count = own.embeddings.astype(np.float64), len(own.labels)
        pca = PCA(min(COMPONENTS_OF_PCA, *x.shape), random_state=seed).fit(x)
        mixture = GaussianMixture(
            min(FACTS_COMPONENTS, max(2, count // IMAGES_A_COMPONENT)),
            covariance_type="diag",
            reg_covar=REGULARISED,
            tol=TOLERANCE,
            max_iter=MOST_ITERATIONS,
            random_state=seed,
        )
        with warnings.catch_warnings():  # the paper stops there, too
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(_with_probabilities(pca, own))
        responsible = mixture.predict_proba(_with_probabilities(pca, own))
        wrong = responsible[~own.right].sum(axis=0)
        worth = wrong**2 / np.maximum(responsible.sum(axis=0), TINY)
        for number in np.argsort(-worth, kind="stable")[:most].tolist():
            score = functools.partial(_of_mixture, pca, mixture, number)
            found.append(ImageSlice(name=f"component {number}", score=score, label=label))
    return found


def _with_probabilities(pca: Any, images: SlicedImages) -> Array:
    x = pca.transform(images.embeddings.astype(np.float64))
    return np.hstack((x, FACTS_WEIGHT * images.probabilities))


def _of_mixture(pca: Any, mixture: Any, number: int, images: SlicedImages) -> Array:
    x = _with_probabilities(pca, images)
    # the logarithm, as far as it can be told: posteriors round to 0 and 1, which orders nothing
    return np.asarray(np.log(np.maximum(mixture.predict_proba(x)[:, number], TINY)))
