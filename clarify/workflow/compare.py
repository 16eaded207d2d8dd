"""Base and retrained models side by side, read from their runs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from clarify.errors import NotFoundError
from clarify.method.metrics import paired_difference
from clarify.workflow.project import annotated_groups_of
from clarify.workflow.runs import find_run

if TYPE_CHECKING:
    from clarify.method.groups import AnnotatedGroups
    from clarify.method.metrics import Interval
    from clarify.track.mlflow import Run
    from clarify.workflow.project import Project

__all__ = ["Compared", "compare"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One model in the comparison.

    Parameters
    ----------
    run_id, name, kind : str
    oracle : bool
        Whether it was trained or chosen with annotated groups.
    metrics : mapping of str to float
        As logged, without the split's prefix; accuracies are fractions.
    gains : mapping of str to Interval
        Of ``average`` and, where groups are annotated, ``worst_group``: how much better it is than
        the base model on the same images, with a paired bootstrap interval. Empty for the base.
    """

    run_id: str
    name: str
    kind: str
    oracle: bool
    metrics: dict[str, float]
    gains: dict[str, Interval]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "run": self.run_id,
            "name": self.name,
            "kind": self.kind,
            "oracle": self.oracle,
            **self.metrics,
            "gains": {what: dataclasses.asdict(gain) for what, gain in self.gains.items()},
        }


def compare(project: Project, *, split: str) -> tuple[Compared, ...]:
    """Return the newest base model and what was retrained from it, the base first.

    Raises
    ------
    NotFoundError
        If there is no base model, or it has no figures on the split.
    """
    base = find_run(project, None, kind="base")
    retrained = [
        run
        for run in project.tracking.runs(project.manifest.name, kind="retraining")
        if run.tags["parent"] == base.id
    ]
    before = _predictions(project, base, split)
    if not len(before):
        raise NotFoundError(
            f"data set {project.manifest.name}: its models have no figures on split {split!r}; "
            f"its splits are {', '.join(project.manifest.splits)}"
        )
    rows = [_compared(base, split, {})]
    for run in reversed(retrained):
        now = _predictions(project, run, split).select("id", now="right")
        both = before.join(now, on="id", how="inner", maintain_order="left")
        rows.append(_compared(run, split, _gains(both, _groups(project, both))))
    return tuple(rows)


def _predictions(project: Project, run: Run, split: str) -> pl.DataFrame:
    table = pl.read_parquet(project.tracking.artifact(run.id, "predictions.parquet"))
    return table.filter(pl.col("split") == split)


def _groups(project: Project, predictions: pl.DataFrame) -> AnnotatedGroups | None:
    manifest = project.manifest
    rows = predictions.select("id").join(manifest.table, on="id", how="left")
    labels = np.array([manifest.class_index(name) for name in rows["label"]], dtype=np.int64)
    values = {name: np.array(rows[name].to_list(), dtype=np.str_) for name in manifest.attributes}
    return annotated_groups_of(manifest, labels, values)


def _gains(both: pl.DataFrame, groups: AnnotatedGroups | None) -> dict[str, Interval]:
    base, now = both["right"].to_numpy(), both["now"].to_numpy()
    found = {"average": paired_difference(base, now, what="average", seed=0)}
    if groups is not None:
        found["worst_group"] = paired_difference(base, now, groups, what="worst_group", seed=0)
    return found


def _compared(run: Run, split: str, gains: dict[str, Interval]) -> Compared:
    prefix = f"{split}/"
    return Compared(
        run_id=run.id,
        name=run.name,
        kind=run.kind,
        oracle=run.tags["oracle"] == "true",
        metrics={
            key.removeprefix(prefix): value
            for key, value in run.metrics.items()
            if key.startswith(prefix)
        },
        gains=gains,
    )
