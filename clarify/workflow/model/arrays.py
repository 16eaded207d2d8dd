"""Data sets that are arrays: no home, no images, no store.

The core (phrases, groups, fits) asks a data set for its classes and for embeddings of phrases, and
no more. A `Workspace` has these; so has a `DataSet` made here, and with it the evidence, the previews
and `clarify.diagnose` run the very code that `clarify retrain` runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from clarify.embed.encoders import Encoder, EncoderIdentity
from clarify.errors import FeatureError, NotFoundError, nearest, one_line, shown
from clarify.method.groups.groups import AnnotatedGroups
from clarify.workflow.model.project import SplitData, Workspace

__all__ = ["ArrayData", "CallableEncoder", "ClassNames", "DataSet", "split_of"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClassNames:
    """A data set's name and classes."""

    name: str
    classes: tuple[str, ...]

    def class_index(self, name: str) -> int:
        """Return a class's number.

        Raises
        ------
        NotFoundError
            For an unknown one.
        """
        if name not in self.classes:
            raise NotFoundError(
                f"data set {self.name}: no class {shown(name)}; {nearest(name, self.classes)}"
            )
        return self.classes.index(name)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CallableEncoder:
    """A function that embeds phrases.

    Parameters
    ----------
    encode : callable
        Of P texts, embeddings (P, E).
    name : str
        Goes into descriptions.
    """

    encode: Callable[[Sequence[str]], ArrayLike]
    name: str = "given"

    @property
    def identity(self) -> EncoderIdentity:
        """Nothing is known of it but its name."""
        return EncoderIdentity(architecture=self.name, weights="0" * 64, preprocessing="none", template="{}")

    def encode_phrases(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Return the embeddings (P, E) of P phrases; FeatureError if `encode` gives anything else."""
        try:
            found = np.asarray(self.encode(list(phrases)), dtype=np.float32)
        except Exception as error:  # whatever a foreign function does is told in one line
            raise FeatureError(
                f"encode failed for {len(phrases)} phrases, such as {shown(phrases[0])}: {one_line(error)}"
            ) from error
        if found.ndim != 2 or len(found) != len(phrases) or not np.isfinite(found).all():
            raise FeatureError(
                f"encode gave an array of shape {found.shape} for {len(phrases)} phrases; one row of "
                "finite numbers a phrase is legal"
            )
        return found

    def unknown_words(self, phrases: Sequence[str]) -> list[tuple[str, ...]]:
        """Return none: nobody can say."""
        return [() for _ in phrases]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ArrayData:
    """A data set of arrays."""

    manifest: ClassNames
    encoder: Encoder | CallableEncoder
    reviewer: str = "unknown"

    @property
    def caution(self) -> str:
        """Nothing is known of the images."""
        return ""


DataSet: TypeAlias = "Workspace | ArrayData"
"""What the core takes: it asks for ``manifest`` (name, classes), ``encoder``, ``caution``, ``reviewer``."""


def split_of(
    name: str,
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    embeddings: NDArray[np.float32] | None = None,
    truth: AnnotatedGroups | None = None,
) -> SplitData:
    """Return the images of a split of which only arrays are known.

    Parameters
    ----------
    features : (N, D) float32
    labels : (N,) int64
    embeddings : (N, E) float32, optional
        What phrases are compared with; the features unless given.
    truth : AnnotatedGroups, optional
        For reports.
    """
    rows = np.arange(len(labels), dtype=np.int64)
    ids = rows.astype(np.str_)
    return SplitData(
        name=name,
        features=features,
        embeddings=features if embeddings is None else embeddings,
        labels=labels,
        table_rows=rows,
        ids=ids,
        root=Path(),
        files=ids,
        attributes={},
        truth=truth,
    )
