"""Similarity of images to a phrase: the inner product of L2-normalised embeddings.

Source: arXiv 2402.03715, section 4 (CLIP similarity of an image and a prompt).
"""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.errors import FeatureError
from clarify.method.arrays import float_matrix, measured_chunks, row_lengths, unit_chunks

__all__ = ["normalised", "similarities"]

IN_CACHE = 1 << 18
"""Numbers that a core's cache holds: each is read three times."""

LEAST_A_THREAD = 1 << 22
"""Numbers for which another thread pays."""


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
    rows = float_matrix(embeddings, what="embeddings")
    result = np.empty(rows.shape, dtype=np.float32)
    for start, unit in unit_chunks(rows, what="embeddings"):
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
    rows = float_matrix(image_embeddings, what="embeddings")
    text = np.asarray(text_embedding, dtype=np.float64)
    if text.shape != (rows.shape[1],):
        raise FeatureError(
            f"text embedding: has shape {text.shape}, the image embeddings {rows.shape}; "
            f"({rows.shape[1]},) is legal, so use the encoder that made the images' features"
        )
    length = row_lengths(text[None])[0]
    if not (np.isfinite(length) and length > 0):
        raise FeatureError("text embedding: it is zero, NaN or infinite; embed the phrase again")
    text = text / length
    result = np.empty(len(rows), dtype=np.float64)

    def compare(first: int) -> None:
        part = rows[first : first + share]
        for start, chunk, lengths in measured_chunks(part, what="embeddings", numbers=IN_CACHE, first=first):
            # einsum adds up each row alone: a matrix product may round a row by its neighbours.
            place = first + start
            result[place : place + len(chunk)] = np.einsum("nd,d->n", chunk, text) / lengths

    threads = min(os.cpu_count() or 1, rows.size // LEAST_A_THREAD) or 1
    share = max(1, -(-len(rows) // threads))
    with ThreadPoolExecutor(threads) if threads > 1 else contextlib.nullcontext() as pool:
        for _ in (pool.map if pool else map)(compare, range(0, len(rows), share)):
            pass
    return np.clip(result, -1.0, 1.0, out=result)
