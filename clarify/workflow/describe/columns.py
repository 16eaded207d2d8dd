"""Scores of images in the place of phrases' similarities: what is no phrase is handled as one is.

A slice that a machine found, or an annotated attribute, says of each image how much it has something. Put
in the place of the embeddings it has an error score, a cut, halves, a preview and a retraining: those of a
phrase, by the same code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from clarify.workflow.model.arrays import ArrayData, CallableEncoder, ClassNames, DataSet
from clarify.workflow.model.project import SplitData

__all__ = ["column_phrase", "with_columns"]


def column_phrase(number: int) -> str:
    """Return what a column is called where a phrase is asked for."""
    return f"column {number}"


def with_columns(
    project: DataSet,
    splits: Mapping[str, SplitData],
    columns: Mapping[str, NDArray[np.floating] | NDArray[np.bool_]],
) -> tuple[ArrayData, dict[str, SplitData]]:
    """Return a data set whose phrases are columns, and its splits.

    Parameters
    ----------
    columns : mapping of split to (N, S) float, in [0, 1]
        Of every image of each split. Similarities are these, divided by the root of S.
    """
    count = next(iter(columns.values())).shape[1]

    def encode(phrases: Sequence[str]) -> NDArray[np.float64]:
        numbers = [int(each.removeprefix("column ")) for each in phrases]
        return np.eye(2 * count)[numbers]

    manifest = ClassNames(name=project.manifest.name, classes=project.manifest.classes)
    data = ArrayData(manifest=manifest, encoder=CallableEncoder(encode=encode), reviewer=project.reviewer)
    return data, {
        name: dataclasses.replace(split, embeddings=_unit_rows(columns[name], count))
        for name, split in splits.items()
    }


def _unit_rows(values: NDArray[np.floating] | NDArray[np.bool_], count: int) -> NDArray[np.float32]:
    """Return rows (N, 2 S) of unit length, the first S columns the values by the root of S."""
    shares = values.astype(np.float64)
    rows = np.hstack((shares, np.sqrt(1.0 - np.square(shares)))) / np.sqrt(count)
    return np.asarray(rows, dtype=np.float32)
