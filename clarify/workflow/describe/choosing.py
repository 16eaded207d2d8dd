"""Which kept phrase of a class a retraining takes where nobody chose.

Of three people and more it is the phrase that is most like the others', each person's best one counting; of
fewer, the one with which
retraining brought most when it was kept; where that is not known, the one with the highest error score.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from clarify.method.decisions.consensus import medoid
from clarify.track.runs import DescriptionRun
from clarify.workflow.model.project import Workspace

__all__ = ["SEVERAL", "default_runs"]

SEVERAL = 3
"""People from whom a class's phrases have a middle."""


def default_runs(project: Workspace, kept: Iterable[DescriptionRun]) -> list[DescriptionRun]:
    """Return for each class the run of the phrase to retrain with unless somebody chooses.

    Parameters
    ----------
    kept : iterable of DescriptionRun
        Kept descriptions of one model, newest first; of a class those by the encoder in use count, if any.
    """
    encoder = project.encoder.identity.digest
    classes: dict[str, list[DescriptionRun]] = {}
    for run in kept:
        classes.setdefault(run.class_name, []).append(run)
    return [
        _default(project, [run for run in runs if run.encoder == encoder] or runs)
        for runs in classes.values()
    ]


def _default(project: Workspace, runs: Sequence[DescriptionRun]) -> DescriptionRun:
    people = sorted({run.by for run in runs})
    of_each = [_best([run for run in runs if run.by == by]) for by in people]  # nobody counts twice
    scores = _scores(project, of_each) if len(people) >= SEVERAL else None
    return _best(runs) if scores is None else of_each[medoid(scores)]


def _best(runs: Sequence[DescriptionRun]) -> DescriptionRun:
    return max(runs, key=lambda run: (-np.inf if run.gain is None else run.gain, run.score))


def _scores(project: Workspace, runs: Sequence[DescriptionRun]) -> np.ndarray | None:
    """Return the scores (M, N) of images that all of them scored; None where these are too few to rank."""
    tables = [
        pl.read_parquet(io.BytesIO(project.tracking.artifact(run.id, "similarities.parquet"))).select(
            "id", pl.col("similarity").alias(str(number))
        )
        for number, run in enumerate(runs)
    ]
    joined = tables[0]
    for table in tables[1:]:
        joined = joined.join(table, on="id")
    return joined.drop("id").to_numpy().T if len(joined) > 1 else None
