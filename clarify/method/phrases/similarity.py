"""Similarity of images to a phrase: the inner product of L2-normalised embeddings.

Source: arXiv 2402.03715, section 4 (CLIP similarity of an image and a prompt).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import FeatureError

__all__ = ["normalised", "similarities"]

CHUNK_ROWS = 4_096


def normalised(embeddings: ArrayLike) -> NDArray[np.float32]:
    """Return the rows scaled to length 1.

    Parameters
    ----------
    embeddings : array_like of float, (N, D)
        Any float type, a memory map too; rows of any finite, non-zero length.

    Returns
    -------
    ndarray of float32, (N, D)
        Rows of Euclidean length 1.

    Raises
    ------
    FeatureError
        For another number of axes, or a row that is zero, NaN or infinite (says which).
    """
    rows = _matrix(embeddings)
    result = np.empty(rows.shape, dtype=np.float32)
    for start, unit in _unit_chunks(rows):
        result[start : start + len(unit)] = unit
    return result


def similarities(image_embeddings: ArrayLike, text_embedding: ArrayLike) -> NDArray[np.float64]:
    """Return the cosine of each image with one text.

    Parameters
    ----------
    image_embeddings : array_like of float, (N, D)
        Need not be normalised; read in chunks, so a float16 memory map is fine.
    text_embedding : array_like of float, (D,)
        Need not be normalised.

    Returns
    -------
    ndarray of float64, (N,)
        In [-1, 1]; higher is more alike. A row's value does not depend on the rows around it.

    Raises
    ------
    FeatureError
        For unlike widths, or a row or text that is zero, NaN or infinite (says which).
    """
    rows = _matrix(image_embeddings)
    text = np.asarray(text_embedding, dtype=np.float64)
    if text.shape != (rows.shape[1],):
        raise FeatureError(
            f"text embedding: has shape {text.shape}, the image embeddings {rows.shape}; "
            f"({rows.shape[1]},) is legal, so use the encoder that made the images' features"
        )
    length = _lengths(text[None])[0]
    if not (np.isfinite(length) and length > 0):
        raise FeatureError("text embedding: it is zero, NaN or infinite; embed the phrase again")
    text = text / length
    result = np.empty(len(rows), dtype=np.float64)
    for start, unit in _unit_chunks(rows):
        # einsum adds up each row alone: a matrix product may round a row by its neighbours.
        result[start : start + len(unit)] = np.einsum("nd,d->n", unit, text)
    return np.clip(result, -1.0, 1.0, out=result)


def _matrix(embeddings: ArrayLike) -> NDArray[np.floating]:
    rows = np.asanyarray(embeddings)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise FeatureError(f"embeddings: have shape {rows.shape}; two axes (N, D) are legal")
    if not np.issubdtype(rows.dtype, np.floating):
        raise FeatureError(f"embeddings: hold {rows.dtype}; floating-point numbers are legal")
    return rows


def _unit_chunks(rows: NDArray[np.floating]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = np.array(rows[start : start + CHUNK_ROWS], dtype=np.float64)
        lengths = _lengths(chunk)
        bad = ~(np.isfinite(lengths) & (lengths > 0))
        if bad.any():
            place = int(np.argmax(bad))
            seen = "all zeros" if lengths[place] == 0 else "NaN or infinite"
            raise FeatureError(
                f"embeddings: row {start + place} is {seen}; leave out images without features"
            )
        chunk /= lengths[:, None]
        yield start, chunk


def _lengths(chunk: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.sqrt(np.einsum("nd,nd->n", chunk, chunk))
    return lengths
