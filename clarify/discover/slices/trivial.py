"""What every method has to beat: cells of the confusion matrix, and k-means of the wrong images."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from clarify.discover.slices.interface import ImageSlice, PhraseBank, SlicedImages

__all__ = ["confusion_cells", "k_means_of_wrong_images"]


def confusion_cells(images: SlicedImages, bank: PhraseBank, *, most: int, seed: int) -> list[ImageSlice]:
    """Return the cells off the diagonal of the confusion matrix, the largest of each class first.

    Trivial, and it must stand in every table (the baseline "confusion" of dcbench; Eyuboglu et al. 2022).
    The score is the probability of the wrong class, so that images which are still right are ordered, too.
    """
    found = []
    for label, own in images.by_class():
        counts = np.bincount(own.predicted, minlength=own.probabilities.shape[1])
        counts[label] = 0
        for other in np.argsort(-counts, kind="stable")[:most].tolist():
            if counts[other]:
                name = f"{bank.classes[label]} taken for {bank.classes[other]}"
                score = functools.partial(_probability, other)
                found.append(ImageSlice(name=name, score=score, label=label))
    return found


def _probability(of: int, images: SlicedImages) -> NDArray[np.float64]:
    return images.probabilities[:, of]


def k_means_of_wrong_images(
    images: SlicedImages, bank: PhraseBank, *, most: int, seed: int
) -> list[ImageSlice]:
    """Cluster the features of each class's wrong images, the largest cluster first (Lloyd 1982).

    An image belongs to a cluster by how near it is to its centre, right images too.
    """
    from sklearn.cluster import KMeans

    found = []
    for label, own in images.by_class():
        wrong = own.features[~own.right].astype(np.float64)
        count = min(most, len(np.unique(wrong, axis=0)))
        fitted = KMeans(n_clusters=count, n_init=10, random_state=seed).fit(wrong)
        sizes = np.bincount(fitted.labels_, minlength=count)
        for number in np.argsort(-sizes, kind="stable").tolist():
            score = functools.partial(_nearness, fitted.cluster_centers_[number])
            found.append(ImageSlice(name=f"cluster of {sizes[number]} wrong", score=score, label=label))
    return found


def _nearness(centre: NDArray[np.float64], images: SlicedImages) -> NDArray[np.float64]:
    return np.asarray(-np.linalg.norm(images.features - centre, axis=1))
