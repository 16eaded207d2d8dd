"""Weights for somebody's own training: drawn by these, every described half comes up as often as another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from clarify.workflow.describe.grouping import groups_by_descriptions, in_force
from clarify.workflow.exchange.export import chosen_descriptions, write_rows
from clarify.workflow.exchange.forms import Handed
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import Workspace, split_data

__all__ = ["sampler_weights", "write_weights"]


def sampler_weights(project: Workspace, model: Model, descriptions: Sequence[str]) -> pl.DataFrame:
    """Return a row a training image: what to draw it with, as a correction by reweighting weighs it.

    Parameters
    ----------
    descriptions : sequence of str
        Runs of kept descriptions, as of `described_images`.

    Returns
    -------
    DataFrame
        ``id, path`` (below the data set's folder), ``label, group, weight``. Weights of each group sum to the
        same, and are 1 on average; an undescribed class is one group. Cut as a retraining cuts (`in_force`).

    Raises
    ------
    NotFoundError
        For an unknown run, or if nothing is described yet.
    GroupError
        If a description leaves one half of its class empty.
    """
    chosen = chosen_descriptions(project, model, descriptions)
    splits = {name: split_data(project, name) for name in ("train", "validation")}
    groups = groups_by_descriptions(project, in_force(project, chosen, splits), splits)["train"]
    train, counts = splits["train"], groups.counts
    share = train.labels.size / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return pl.DataFrame(
        {
            "id": train.ids.tolist(),
            "path": train.files.tolist(),
            "label": [project.manifest.classes[label] for label in train.labels],
            "group": [groups.names[index] for index in groups.index],
            "weight": share[groups.index],
        }
    )


def write_weights(project: Workspace, table: pl.DataFrame, path: Path) -> Handed:
    """Write them as CSV or Parquet, and say which training images are not among them.

    Raises
    ------
    InputError
        For another ending.
    StoreError
        If the file cannot be written.
    """
    write_rows(path, table)
    return Handed(path=path, rows=table.height, left_out=_unread(project, table))


def _unread(project: Workspace, table: pl.DataFrame) -> tuple[str, ...]:
    known = set(table["id"].to_list())
    gone = [name for name in project.manifest.ids("train").tolist() if name not in known]
    return tuple(f"{name}: it could not be read when the images were embedded" for name in gone)
