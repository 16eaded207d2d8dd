"""Checks on the arrays that people hand in, and sub-seeds: shared by the whole folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import FeatureError, GroupError, InputError, shown

__all__ = ["bool_vector", "class_tuple", "finite_vector", "generator", "label_vector", "read_only"]


def finite_vector(values: ArrayLike, *, what: str) -> NDArray[np.float64]:
    """Return `values` as a finite float64 vector (N,), N possibly 0.

    Raises
    ------
    FeatureError
        Where it is not one axis of numbers, or one of them is NaN or infinite (says which).
    """
    array = number_vector(values, what=what)
    finite = np.isfinite(array)
    if not finite.all():
        row = int(np.argmin(finite))
        raise FeatureError(f"{what}: entry {row} is {array[row]}; only finite numbers are legal")
    return array


def number_vector(values: ArrayLike, *, what: str) -> NDArray[np.float64]:
    """Return `values` as a float64 vector (N,) without looking at the numbers."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise FeatureError(
            f"{what}: {shown(values)} is not a sequence of numbers; give one number an image"
        ) from None
    if array.ndim != 1:
        raise FeatureError(f"{what}: has shape {array.shape}; one axis (N,) is legal")
    return array


def bool_vector(values: ArrayLike, *, what: str, length: int | None = None) -> NDArray[np.bool_]:
    """Return `values` as a bool vector (N,); anything but booleans is refused.

    Raises
    ------
    InputError
        For another type, another number of axes or another length.
    """
    array = np.asarray(values)
    if array.dtype != np.bool_ and array.size:
        raise InputError(f"{what}: holds {array.dtype}; booleans are legal")
    if array.ndim != 1 or (length is not None and len(array) != length):
        legal = "one axis (N,)" if length is None else f"({length},)"
        raise InputError(f"{what}: has shape {array.shape}; {legal} is legal")
    return array.astype(np.bool_, copy=False)


def label_vector(labels: ArrayLike, *, n_classes: int, what: str = "labels") -> NDArray[np.int64]:
    """Return `labels` as an int64 vector (N,) of values in [0, n_classes).

    Raises
    ------
    GroupError
        For another type or shape, or a label out of range (says which row).
    """
    array = np.asarray(labels)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise GroupError(f"{what}: holds {array.dtype}; integers are legal")
    if array.ndim != 1:
        raise GroupError(f"{what}: has shape {array.shape}; one axis (N,) is legal")
    outside = (array < 0) | (array >= n_classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise GroupError(f"{what}: row {row} is {array[row]}; 0 to {n_classes - 1} is legal")
    return array.astype(np.int64, copy=False)


def class_tuple(class_names: Sequence[str], *, what: str = "class names") -> tuple[str, ...]:
    """Return the names as a tuple of distinct, non-empty texts.

    Raises
    ------
    GroupError
        Where there is none, or one is empty or given twice.
    """
    names = tuple(class_names)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise GroupError(f"{what}: {shown(names)}; one or more non-empty texts are legal")
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise GroupError(f"{what}: {shown(twice)} is given twice; give each name once")
    return names


def read_only(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return an own copy of `array` that nobody can write to."""
    own = np.array(array, copy=True)
    own.flags.writeable = False
    return own


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the random generator of one purpose: `seed` and the purpose's name, hashed."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
