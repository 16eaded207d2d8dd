"""Classifiers made of text alone: CLIP's cosine classifier as a head.

Supervision: none, but the class names and, for `zero_shot_with_attributes`, the names of the
spurious attribute's values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from clarify.errors import FeatureError, GroupError
from clarify.method.arrays import class_tuple
from clarify.method.fit.head import Head
from clarify.method.phrases.similarity import normalised

__all__ = ["LOGIT_SCALE", "zero_shot", "zero_shot_with_attributes"]

LOGIT_SCALE = 100.0
"""What CLIP multiplies cosines with: its learned temperature ends at the 100 it is clipped to."""

SHORTEST = 1e-4


def zero_shot(prompt_embeddings: Sequence[ArrayLike], class_names: Sequence[str]) -> Head:
    """Return the zero-shot classifier of some prompts a class: ``logit_k = 100 cos(x, t_k)``.

    t_k is the mean of class k's prompts, each of length 1, brought to length 1 (prompt
    ensembling).

    Supervision: class names. Source: "Learning Transferable Visual Models From Natural Language
    Supervision" (Radford et al. 2021, arXiv 2103.00020), section 3.1.4. Departs: nowhere, other
    than that the scale is 100 for every encoder, which changes probabilities and no prediction.

    Parameters
    ----------
    prompt_embeddings : sequence of array_like of float, K of (P_k, D)
        Each class's text embeddings, one or more, of any length, by the encoder that made the
        images' features.
    class_names : sequence of str, (K,)
        In the same order.

    Returns
    -------
    Head
        Of raw image features (N, D), without bias or standardisation.

    Raises
    ------
    FeatureError
        For prompts that are zero, NaN or infinite, of unlike widths or that cancel out (says
        which class).
    GroupError
        For another number of classes, or names that are empty or given twice.
    """
    names = class_tuple(class_names)
    if len(prompt_embeddings) != len(names):
        raise GroupError(
            f"zero-shot: prompts of {len(prompt_embeddings)} classes for {len(names)} names; "
            "give one or more prompts a class"
        )
    texts = [_mean_direction(e, n) for e, n in zip(prompt_embeddings, names, strict=True)]
    widths = {len(text) for text in texts}
    if len(widths) > 1:
        raise FeatureError(
            f"zero-shot: prompts have widths {sorted(widths)}; one is legal, so embed all with one encoder"
        )
    width = widths.pop()
    return Head(
        weight=np.asarray(LOGIT_SCALE * np.stack(texts), dtype=np.float32),
        bias=np.zeros(len(names), dtype=np.float32),
        mean=np.zeros(width, dtype=np.float32),
        scale=np.ones(width, dtype=np.float32),
        class_names=names,
        unit=True,
    )


def zero_shot_with_attributes(embeddings: ArrayLike, class_names: Sequence[str]) -> Head:
    """Return the zero-shot classifier of prompts that name a class and an attribute's value.

    Such as "a photo of a landbird on water", for every class and value. The prompts of a class
    are averaged as in `zero_shot`, so that what they say of the attribute cancels out.

    Supervision: class names and the names of the attribute's values; no image's annotation.
    Source: prompt ensembling as in `zero_shot`. Departs: taking the likeliest of all K times A
    prompts and then its class would be a maximum over attributes, which no linear head can do.

    Parameters
    ----------
    embeddings : array_like of float, (K, A, D)
        Text embeddings of any length.
    class_names : sequence of str, (K,)

    Returns
    -------
    Head
        As `zero_shot` does.

    Raises
    ------
    FeatureError
        For another shape, and as `zero_shot` does.
    GroupError
        As `zero_shot` does.
    """
    prompts = np.asarray(embeddings)
    if prompts.ndim != 3:
        raise FeatureError(
            f"zero-shot with attributes: embeddings have shape {prompts.shape}; (K, A, D) is legal"
        )
    return zero_shot(list(prompts), class_names)


def _mean_direction(embeddings: ArrayLike, name: str) -> np.ndarray:
    try:
        unit = normalised(embeddings).astype(np.float64)
    except FeatureError as error:
        raise FeatureError(f"zero-shot: prompts of class {name!r}: {error}") from None
    if not len(unit):
        raise FeatureError(f"zero-shot: class {name!r} has no prompts; give one or more")
    mean = unit.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < SHORTEST:
        raise FeatureError(
            f"zero-shot: the {len(unit)} prompts of class {name!r} cancel out; use prompts alike"
        )
    return np.asarray(mean / length, dtype=np.float64)
