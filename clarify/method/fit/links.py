"""Cross-entropy of logits, its derivatives and its entropy: what convex duality needs of it.

Two classes are solved with one logit: at the optimum of an L2-penalised softmax the two weight
vectors are opposite, ``weight = (-v/2, v/2)``, so half the unknowns and half the decay will do.
`C` is the number of logit columns: 1 for two classes, else K. Large (N, C) arrays are worked on in
blocks of rows, so that temporaries stay small.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Link", "Logistic", "Softmax", "link_for"]

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
BLOCK_NUMBERS = 4_000_000


class Logistic:
    """Two classes: one logit, that of the second class against the first; methods as of `Softmax`."""

    columns = 1
    decay_share = 0.5

    def losses(self, logits: Array, labels: Labels) -> Array:
        """Return ``log(1 + exp(-s u))`` with s = -1 for class 0, 1 for class 1."""
        sign = np.where(labels == 1, -1.0, 1.0)
        return np.asarray(np.logaddexp(0.0, sign * logits[:, 0]), dtype=np.float64)

    def probabilities(self, logits: Array) -> Array:
        """Return the probability of the second class (N, 1)."""
        small = np.exp(-np.abs(logits))
        return np.where(logits >= 0, 1.0, small) / (1.0 + small)

    def minus_truth(self, probabilities: Array, labels: Labels) -> Array:
        """Return, in place, probability less label (N, 1)."""
        probabilities[:, 0] -= labels
        return probabilities

    def entropies(self, probabilities: Array) -> Array:
        """Return the entropies (N,)."""
        p = probabilities[:, 0]
        return -_p_log_p(p) - _p_log_p(1.0 - p)

    def class_shares(self, columns: Array) -> Array:
        """Return (1 - p, p)."""
        return np.array([1.0 - columns[0], columns[0]])

    def mixed(self, probabilities: Array, part: float, shares: Array) -> Array:
        """Return the mixture (N, 1)."""
        return np.asarray((1.0 - part) * probabilities + part * shares[1], dtype=np.float64)

    def weight(self, columns: Array) -> Array:
        """Return (-v/2, v/2)."""
        return np.concatenate((-columns / 2, columns / 2), axis=-1)

    def columns_of(self, weight: Array) -> Array:
        """Return the second class's less the first's."""
        return weight[..., 1:] - weight[..., :1]


class Softmax:
    """Three classes or more: a logit each."""

    decay_share = 1.0

    def __init__(self, classes: int) -> None:
        self.columns = classes

    def losses(self, logits: Array, labels: Labels) -> Array:
        """Return the cross-entropies (N,), in nats: log-sum-exp less the true class's logit."""
        result = np.empty(len(logits))
        for rows in _blocks(logits):
            block = logits[rows]
            top = block.max(axis=1)
            sums = np.exp(block - top[:, None]).sum(axis=1)
            truth = block[np.arange(len(block)), labels[rows]]
            result[rows] = np.log(sums) + (top - truth)
        return result

    def probabilities(self, logits: Array) -> Array:
        """Return probabilities (N, C): the softmax."""
        result = np.empty_like(logits)
        for rows in _blocks(logits):
            block = np.exp(logits[rows] - logits[rows].max(axis=1, keepdims=True))
            result[rows] = block / block.sum(axis=1, keepdims=True)
        return result

    def minus_truth(self, probabilities: Array, labels: Labels) -> Array:
        """Return, in place, probabilities less the one-hot labels: the losses' slopes (N, C)."""
        probabilities[np.arange(len(labels)), labels] -= 1.0
        return probabilities

    def entropies(self, probabilities: Array) -> Array:
        """Return the entropies (N,), in nats, in [0, log K]."""
        result = np.empty(len(probabilities))
        for rows in _blocks(probabilities):
            result[rows] = -_p_log_p(probabilities[rows]).sum(axis=1)
        return result

    def class_shares(self, columns: Array) -> Array:
        """Return shares of all K classes from those of the C columns: there is one a class."""
        return columns

    def mixed(self, probabilities: Array, part: float, shares: Array) -> Array:
        """Return ``(1 - part) * probabilities + part * shares`` (N, C) for class shares (K,)."""
        return np.asarray((1.0 - part) * probabilities + part * shares, dtype=np.float64)

    def weight(self, columns: Array) -> Array:
        """Return weights or biases (..., K): the columns (..., C) less their mean, no larger weights."""
        return np.asarray(columns - columns.mean(axis=-1, keepdims=True), dtype=np.float64)

    def columns_of(self, weight: Array) -> Array:
        """Return the columns (..., C) of weights or biases (..., K): they are these themselves."""
        return weight


Link: TypeAlias = Logistic | Softmax


def link_for(classes: int) -> Link:
    """Return the cross-entropy of so many classes, 2 or more."""
    return Logistic() if classes == 2 else Softmax(classes)


def _p_log_p(p: Array) -> Array:
    return np.asarray(p * np.log(np.maximum(p, 1e-300)), dtype=np.float64)


def _blocks(array: Array) -> Iterator[slice]:
    step = max(1, BLOCK_NUMBERS // array.shape[1])
    for start in range(0, len(array), step):
        yield slice(start, start + step)
