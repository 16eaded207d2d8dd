"""Checks on the arrays that people hand in, and sub-seeds: shared by the whole folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import FeatureError, GroupError, InputError, shown

__all__ = [
    "bool_vector",
    "class_tuple",
    "finite_vector",
    "float_matrix",
    "generator",
    "label_vector",
    "measured_chunks",
    "read_only",
    "unit_chunks",
]

Matrix: TypeAlias = NDArray[np.floating]
CHUNK_NUMBERS = 8_000_000


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


def float_matrix(features: ArrayLike, *, what: str = "features", width: int | None = None) -> Matrix:
    """Return `features` as a matrix (N, D) of floating-point numbers; a memory map stays one.

    Raises
    ------
    FeatureError
        For another shape, width or type.
    """
    rows = np.asanyarray(features)
    if rows.ndim != 2 or rows.shape[1] == 0 or (width is not None and rows.shape[1] != width):
        legal = f"(N, {width}), the width that the head was fitted on," if width else "(N, D)"
        raise FeatureError(f"{what}: have shape {rows.shape}; {legal} is legal")
    if not np.issubdtype(rows.dtype, np.floating):
        raise FeatureError(f"{what}: hold {rows.dtype}; floating-point numbers are legal")
    return rows


def unit_chunks(
    rows: Matrix, *, what: str = "features", unit: bool = True, numbers: int = CHUNK_NUMBERS
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield (first row, float64 rows), about so many numbers at a time, of unit length or not.

    Raises FeatureError as `measured_chunks`.
    """
    for start, chunk, lengths in measured_chunks(rows, what=what, numbers=numbers):
        if unit:
            chunk /= lengths[:, None]
        yield start, chunk


def measured_chunks(
    rows: Matrix, *, what: str = "features", numbers: int = CHUNK_NUMBERS, first: int = 0
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """Yield (first row, float64 rows, their lengths), about so many numbers at a time.

    Raises
    ------
    FeatureError
        For a row that is zero, NaN or infinite (says which, if the first one is row `first`).
    """
    step = max(1, numbers // rows.shape[1])
    for start in range(0, len(rows), step):
        chunk = np.array(rows[start : start + step], dtype=np.float64)
        lengths = row_lengths(chunk)
        bad = ~(np.isfinite(lengths) & (lengths > 0))
        if bad.any():
            place = int(np.argmax(bad))
            seen = "all zeros" if lengths[place] == 0 else "NaN or infinite"
            raise FeatureError(
                f"{what}: row {first + start + place} is {seen}; leave out images without features"
            )
        yield start, chunk, lengths


def row_lengths(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Euclidean length (N,) of rows (N, D)."""
    return np.asarray(np.sqrt(np.einsum("nd,nd->n", rows, rows)), dtype=np.float64)


def read_only(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return an own copy of `array` that nobody can write to."""
    own = np.array(array, copy=True)
    own.flags.writeable = False
    return own


def generator(seed: int, name: str) -> np.random.Generator:
    """Return the random generator of one purpose: `seed` and the purpose's name, hashed."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
