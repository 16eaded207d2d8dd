"""Erasure: take out of the features what a phrase describes, so that no head can lean on it.

Each estimator returns an `Erasure`, a projection of low rank on standardised features. It is folded
into the head, so a corrected head takes the same raw features as any other.

| name | direction | needs |
|---|---|---|
| ``mean_difference`` | between the means of the halves, within classes | halves |
| ``regression`` | slope of the features on the similarity, within classes | similarities |
| ``leace`` | that of ``mean_difference``, taken out obliquely | halves |
| ``text`` | the phrase's own embedding | embedding, in the same space |

Sources: ``leace`` after Belrose et al. 2023 (arXiv 2306.03819), whose projection changes the
features least among those that leave no linear trace; ``text`` is the idea of RoboShot (Adila et
al. 2024, arXiv 2309.04344), with the phrase for what a language model proposes there. The other two
are Clarify's own. What is one concept in several words ("water" for one class, "land" for another)
is one direction: of the directions of all phrases those are taken out that hold `ENERGY` of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import FeatureError, GroupError
from clarify.method.arrays import bool_vector, finite_vector
from clarify.method.fit.head import Standardisation

__all__ = ["ERASURES", "Concept", "Erasure", "leace", "mean_difference", "regression", "text"]

Array = NDArray[np.float64]

ERASURES = ("mean_difference", "regression", "leace", "text")

ENERGY = 0.9
"""Share of the directions' squared length that is taken out."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Concept:
    """What a phrase says of the images of one class.

    Parameters
    ----------
    name : str
        For messages.
    rows : ndarray of bool, (N,)
        Which images are of the class, or of all that are taken as one.
    similarity : ndarray of float, (N,)
        To the phrase; less that to its opposite, where one is known.
    threshold : float
        Images above it have what the phrase says.
    """

    name: str
    rows: NDArray[np.bool_]
    similarity: NDArray[np.float64]
    threshold: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "similarity", finite_vector(self.similarity, what=self.name))
        object.__setattr__(self, "rows", bool_vector(self.rows, what=self.name, length=len(self.similarity)))

    def take(self, rows: NDArray[np.int64]) -> Concept:
        """Return it of some of the images, in the order given."""
        return dataclasses.replace(self, rows=self.rows[rows], similarity=self.similarity[rows])

    def joined(self, other: Concept) -> Concept:
        """Return it of these images and then of others."""
        return dataclasses.replace(
            self,
            rows=np.concatenate((self.rows, other.rows)),
            similarity=np.concatenate((self.similarity, other.similarity)),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Erasure:
    """The projection ``z - directions @ (duals.T @ z)`` of standardised features.

    Parameters
    ----------
    directions, duals : ndarray of float64, (D, R)
        With ``duals.T @ directions`` the identity.
    """

    directions: Array
    duals: Array

    @property
    def rank(self) -> int:
        """How many directions are taken out (R)."""
        return int(self.directions.shape[1])

    def apply(self, standardised: Array) -> Array:
        """Return features (N, D) without the directions."""
        return standardised - (standardised @ self.duals) @ self.directions.T

    def folded(self, weight: Array) -> Array:
        """Return the weights (K, D) that do to features what `weight` does to those projected."""
        return weight - (weight @ self.directions) @ self.duals.T


def mean_difference(standardised: Array, concepts: Sequence[Concept]) -> Erasure:
    """Erase the difference between the means of the images with and without the phrase.

    Parameters
    ----------
    standardised : ndarray of float64, (N, D)
    concepts : sequence of Concept
        One a described class; each is weighted by how well its halves are filled.

    Raises
    ------
    GroupError
        If a half is empty (says which), or no difference is left.
    """
    return _orthogonal(_differences(standardised, concepts))


def leace(standardised: Array, concepts: Sequence[Concept]) -> Erasure:
    """Erase the same differences obliquely, so that the features change least.

    The directions are the covariances of features and halves within classes; what is read off
    along them is weighted by the features' inverse covariance within classes.

    Parameters
    ----------
    standardised : ndarray of float64, (N, D)

    Raises GroupError as `mean_difference`.
    """
    directions = _principal(_differences(standardised, concepts))
    rows = np.any([each.rows for each in concepts], axis=0)
    within = standardised[rows] - _class_means(standardised, concepts)[rows]
    covariance = within.T @ within / len(within)
    ridge = 1e-3 * np.trace(covariance) / len(covariance)  # fewer images than features: singular
    whitened = np.linalg.solve(covariance + ridge * np.eye(len(covariance)), directions)
    duals = whitened @ np.linalg.inv(whitened.T @ directions)
    return Erasure(directions=directions, duals=duals)


def regression(standardised: Array, concepts: Sequence[Concept]) -> Erasure:
    """Erase the slope of the features on the similarity; no threshold is looked at.

    Parameters
    ----------
    standardised : ndarray of float64, (N, D)
    concepts : sequence of Concept
        With all images as one class, no label is looked at either.

    Raises
    ------
    GroupError
        If the similarities of a class are all alike (says which), or no slope is left.
    """
    slopes = []
    for each in concepts:
        s = each.similarity[each.rows]
        centred = s - s.mean() if len(s) else s
        spread = np.sqrt(np.sum(centred**2))
        if not spread > 1e-9:
            raise GroupError(f"{each.name}: its images are all alike to the phrase; choose another")
        slopes.append(centred @ standardised[each.rows] / spread)
    return _orthogonal(np.array(slopes))


def text(embeddings: ArrayLike, standardisation: Standardisation) -> Erasure:
    """Erase the phrases' own embeddings from the unit features, before they are standardised.

    Parameters
    ----------
    embeddings : array_like of float, (P, D)
        Of the phrases, by the encoder that made the features.

    Raises
    ------
    FeatureError
        If they are of another width than the features.
    """
    rows = np.atleast_2d(np.asarray(embeddings, dtype=np.float64))
    if rows.shape[1] != len(standardisation.mean):
        raise FeatureError(
            f"erasing a text: its embedding has width {rows.shape[1]}, the features "
            f"{len(standardisation.mean)}; only CLIP's own features hold its texts, so choose "
            "another erasure"
        )
    directions = _principal(rows)
    scale = standardisation.scale.astype(np.float64)[:, None]
    return Erasure(directions=directions / scale, duals=directions * scale)


def _differences(standardised: Array, concepts: Sequence[Concept]) -> Array:
    found = []
    for each in concepts:
        having = each.rows & (each.similarity > each.threshold)
        lacking = each.rows & ~having
        if not (having.any() and lacking.any()):
            side = "without" if having.any() else "with"
            raise GroupError(
                f"{each.name}: no image is on the side {side!r}; move the threshold so that both "
                "sides hold images"
            )
        filled = 1 / (1 / having.sum() + 1 / lacking.sum())
        difference = standardised[having].mean(axis=0) - standardised[lacking].mean(axis=0)
        found.append(np.sqrt(filled) * difference)
    return np.array(found)


def _class_means(standardised: Array, concepts: Sequence[Concept]) -> Array:
    means = np.zeros_like(standardised)
    for each in concepts:
        means[each.rows] = standardised[each.rows].mean(axis=0)
    return means


def _orthogonal(vectors: Array) -> Erasure:
    directions = _principal(vectors)
    return Erasure(directions=directions, duals=directions)


def _principal(vectors: Array) -> Array:
    """Return the fewest orthonormal columns (D, R) that hold `ENERGY` of some rows (P, D)."""
    _, lengths, axes = np.linalg.svd(vectors, full_matrices=False)
    energy = lengths**2
    if not energy.sum() > 1e-18:
        raise GroupError("erasure: the phrases leave no direction to erase; choose other phrases")
    count = 1 + int(np.searchsorted(np.cumsum(energy) / energy.sum(), ENERGY - 1e-12))
    return np.ascontiguousarray(axes[:count].T)
