"""The last layer: a linear head on L2-normalised, standardised features.

Features are L2-normalised, then standardised with the *training* split's mean and deviation
(arXiv 2402.03715, the authors' code). A head keeps that mean and deviation, so whoever holds a
head can hand it raw features. The layer that a network was trained with takes its features as they
are: it is a head that does neither (`Head.of_layer`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import FeatureError, InputError
from clarify.method.arrays import class_tuple, float_matrix, read_only, unit_chunks

__all__ = ["Head", "Standardisation"]

ARRAYS = ("weight", "bias", "mean", "scale")
AS_THEY_ARE = "as_they_are"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standardisation:
    """Mean and deviation of L2-normalised training features.

    Parameters
    ----------
    mean, scale : ndarray of float32, (D,)
        A feature that does not vary has scale 1: it becomes 0, and tells the head nothing.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def fit(cls, features: ArrayLike) -> Standardisation:
        """Return mean and deviation of features (N, D), L2-normalised first.

        Raises
        ------
        FeatureError
            For another shape, no rows, or a row that is zero, NaN or infinite (says which).
        """
        rows = float_matrix(features)
        if not len(rows):
            raise FeatureError("features: there are no rows; at least 1 is needed")
        total = np.zeros(rows.shape[1])
        squares = np.zeros(rows.shape[1])
        first = next(iter(unit_chunks(rows)))[1].mean(axis=0)
        for _, unit in unit_chunks(rows):
            # About the first chunk's mean: squares of small numbers do not cancel.
            unit -= first
            total += unit.sum(axis=0)
            squares += np.einsum("nd,nd->d", unit, unit)
        centre = total / len(rows)
        deviation = np.sqrt(np.maximum(squares / len(rows) - centre**2, 0.0))
        scale = np.where(deviation > 1e-7, deviation, 1.0)
        mean = (first + centre).astype(np.float32)
        return cls(mean=_frozen(mean), scale=_frozen(scale.astype(np.float32)))

    def apply(self, features: ArrayLike) -> NDArray[np.float64]:
        """Return features (N, D) L2-normalised and standardised, float64."""
        rows = float_matrix(features, width=len(self.mean))
        result = np.empty(rows.shape, dtype=np.float64)
        for start, unit in unit_chunks(rows):
            result[start : start + len(unit)] = (unit - self.mean) / self.scale
        return result


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Head:
    """A linear classifier of raw features.

    Parameters
    ----------
    weight : ndarray of float32, (K, D)
        On standardised features.
    bias : ndarray of float32, (K,)
    mean, scale : ndarray of float32, (D,)
        Of the L2-normalised training features; scale is positive.
    class_names : tuple of str, (K,)
        The labels' names in order.
    unit : bool
        Whether features are L2-normalised first.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    class_names: tuple[str, ...]
    unit: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", class_tuple(self.class_names))
        for name in ARRAYS:
            object.__setattr__(self, name, _frozen(getattr(self, name)))
        classes = len(self.class_names)
        width = self.weight.shape[1] if self.weight.ndim == 2 else 0
        legal = {"weight": (classes, width), "bias": (classes,), "mean": (width,), "scale": (width,)}
        for name, shape in legal.items():
            array = getattr(self, name)
            if not width or array.shape != shape:
                raise FeatureError(
                    f"head of {classes} classes: {name} has shape {array.shape}; "
                    f"{shape if width else '(K, D)'} is legal"
                )
            if not np.isfinite(array).all():
                raise FeatureError(f"head: {name} holds NaN or infinity; fit it again")
        if not (self.scale > 0).all():
            raise FeatureError("head: scale has entries of 0 or below; positive ones are legal")

    @classmethod
    def of_layer(cls, weight: ArrayLike, bias: ArrayLike, class_names: Sequence[str]) -> Head:
        """Return the head of weights (K, D) and bias (K,): a network's own last layer."""
        weights = np.asarray(weight, dtype=np.float32)
        width = weights.shape[-1]
        return cls(
            weight=weights,
            bias=np.asarray(bias, dtype=np.float32),
            mean=np.zeros(width, dtype=np.float32),
            scale=np.ones(width, dtype=np.float32),
            class_names=tuple(class_names),
            unit=False,
        )

    @property
    def width(self) -> int:
        """Feature width (D)."""
        return int(self.weight.shape[1])

    def logits(self, features: ArrayLike) -> NDArray[np.float64]:
        """Return logits (N, K) of raw features (N, D), read in chunks.

        Raises
        ------
        FeatureError
            For another width, or a row that is zero, NaN or infinite (says which).
        """
        rows = float_matrix(features, width=self.width)
        result = np.empty((len(rows), len(self.class_names)))
        for start, chunk in self._chunks(rows):
            result[start : start + len(chunk)] = chunk
        return result

    def probabilities(self, features: ArrayLike) -> NDArray[np.float64]:
        """Return each class's probability (N, K), rows adding up to 1."""
        result = self.logits(features)
        result -= result.max(axis=1, keepdims=True)
        np.exp(result, out=result)
        result /= result.sum(axis=1, keepdims=True)
        return result

    def predict(self, features: ArrayLike) -> NDArray[np.int64]:
        """Return the likeliest class of each row (N,), int64; the first one of equals."""
        rows = float_matrix(features, width=self.width)
        result = np.empty(len(rows), dtype=np.int64)
        for start, chunk in self._chunks(rows):
            result[start : start + len(chunk)] = chunk.argmax(axis=1)
        return result

    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return ``weight, bias, mean, scale`` as float32 arrays: what is stored.

        Of a head that takes features as they are, ``as_they_are`` stands beside them.
        """
        found = {name: np.array(getattr(self, name)) for name in ARRAYS}
        return found if self.unit else {**found, AS_THEY_ARE: np.ones(1, dtype=np.float32)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], class_names: Sequence[str]) -> Head:
        """Return the head of which `to_arrays` gave these arrays.

        Raises
        ------
        InputError
            For other array names.
        FeatureError
            For shapes that do not fit, or numbers that are not finite.
        """
        if set(arrays) - {AS_THEY_ARE} != set(ARRAYS):
            raise InputError(f"head: arrays {sorted(arrays)}; {sorted(ARRAYS)} are legal")
        weight, bias, mean, scale = (arrays[name] for name in ARRAYS)
        return cls(
            weight=weight,
            bias=bias,
            mean=mean,
            scale=scale,
            class_names=tuple(class_names),
            unit=AS_THEY_ARE not in arrays,
        )

    def _chunks(self, rows: NDArray[np.floating]) -> Iterator[tuple[int, NDArray[np.float64]]]:
        weight = self.weight.astype(np.float64).T
        for start, chunk in unit_chunks(rows, unit=self.unit):
            yield start, ((chunk - self.mean) / self.scale) @ weight + self.bias


def _frozen(array: NDArray[Any]) -> NDArray[np.float32]:
    own = read_only(np.asarray(array, dtype=np.float32))
    return np.asarray(own, dtype=np.float32)
