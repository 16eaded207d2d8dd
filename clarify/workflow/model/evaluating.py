"""How a model does on validation and test, and what its groups came to before and after."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clarify.embed.encoders import ImageEncoder
from clarify.errors import InputError
from clarify.method.groups.groups import AnnotatedGroups, DescribedGroups
from clarify.method.groups.metrics import Accuracy, Evaluation, evaluate
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData, Workspace, split_data
from clarify.workflow.model.trained import REPORTED, HalfResult

__all__ = ["all_splits", "annotated_groups", "described_evaluations", "evaluations_of", "half_results"]


def all_splits(project: Workspace, backbone: ImageEncoder | None = None) -> dict[str, SplitData]:
    """Read every split of the project; see `split_data`."""
    return {split: split_data(project, split, backbone) for split in project.manifest.splits}


def annotated_groups(name: str, splits: Mapping[str, SplitData]) -> dict[str, AnnotatedGroups]:
    """Return the groups that annotations name, of every split.

    Raises
    ------
    InputError
        If the data set of that name has none.
    """
    known = {split: data.truth for split, data in splits.items() if data.truth is not None}
    if len(known) < len(splits):
        raise InputError(
            f"data set {name} has no annotated attribute, so no oracle; add one to the manifest's "
            "[attributes]"
        )
    return known


def evaluations_of(
    project: Workspace,
    splits: Mapping[str, SplitData],
    model: Model,
    held_out: NDArray[np.float64] | None = None,
) -> dict[str, Evaluation]:
    """Evaluate on validation and test; annotated groups are for this report only.

    Parameters
    ----------
    held_out : ndarray of float64, (N, K), optional
        Probabilities that count for validation instead of the model's.
    """
    in_training = splits["train"].truth
    return {
        name: evaluate(
            _predicted(model, splits[name], held_out),
            splits[name].labels,
            project.manifest.classes,
            groups=splits[name].truth,
            train_counts=None if in_training is None else in_training.counts,
        )
        for name in REPORTED
        if name in splits
    }


def described_evaluations(
    project: Workspace,
    splits: Mapping[str, SplitData],
    groups: Mapping[str, DescribedGroups] | Mapping[str, AnnotatedGroups],
    predicted: Mapping[str, NDArray[np.int64]],
) -> dict[str, Evaluation]:
    """Evaluate by described groups what was predicted of some splits, where it is known which they are."""
    return {
        name: evaluate(said, splits[name].labels, project.manifest.classes, groups=groups[name])
        for name, said in predicted.items()
        if name in groups
    }


def _predicted(model: Model, data: SplitData, held_out: NDArray[np.float64] | None) -> NDArray[np.int64]:
    if held_out is None or data.name != "validation":
        return model.predict(data)
    return np.asarray(held_out.argmax(axis=1), dtype=np.int64)


def half_results(
    predicted: Mapping[str, NDArray[np.int64]], data: SplitData, groups: DescribedGroups | AnnotatedGroups
) -> tuple[HalfResult, ...]:
    """Return what each of several models gets right in each group.

    Parameters
    ----------
    predicted : mapping of {"base", "now", "control"} to (N,) int64
        By those names of `HalfResult`.
    data : SplitData
        Of N images.
    """
    right = {name: found == data.labels for name, found in predicted.items()}
    return tuple(
        HalfResult(
            name=name,
            label=int(data.labels[rows][0]) if rows.any() else -1,
            **{
                of: Accuracy(count=int(rows.sum()), correct=int(found[rows].sum()))
                for of, found in right.items()
            },
        )
        for name, rows in ((name, groups.index == number) for number, name in enumerate(groups.names))
    )
