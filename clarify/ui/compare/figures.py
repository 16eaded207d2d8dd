"""What the Compare page shows, read once: completed runs never change, so their ids are the key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from clarify.errors import InputError, NotFoundError
from clarify.track.registry import version_of
from clarify.track.runs import BaseRun, ModelRun
from clarify.workflow.decide.compare import (
    Changed,
    Compared,
    changed_images,
    compare_page,
    compared_base,
    compared_with,
    retrained_from,
)
from clarify.workflow.decide.gate import judge
from clarify.workflow.model.models import usable_runs
from clarify.workflow.model.project import model_name

if TYPE_CHECKING:
    from clarify.track.runs import TrainedRun
    from clarify.ui.pieces.page import Page
    from clarify.workflow.model.project import Workspace

__all__ = ["changed", "compare_link", "models", "rows_of", "splits_of", "verdicts_of"]

KEPT_ROWS, KEPT_PAIRS = 1_000, 32
"""Figures of models, and lists of images, that are kept for all sessions."""


def models(page: Page) -> tuple[BaseRun, list[tuple[ModelRun, ...]]]:
    """Return the newest base model and what was retrained from it, oldest first.

    Those that differ by the seed alone stand together.

    Raises
    ------
    NotFoundError
        If there is no base model, or nothing was retrained from it; tells the next step.
    """
    name = page.desk.project.manifest.name
    bases = usable_runs(page.desk.project, page.desk.runs(BaseRun))
    if not bases:
        raise NotFoundError(f"There is no model to compare yet; run: clarify train {name}")
    retrained = retrained_from(page.desk.runs(ModelRun), bases[0])
    if not retrained:
        raise NotFoundError(
            "Nothing was retrained from the base model yet; keep a phrase on Describe, then use it on Retrain"
        )
    return bases[0], retrained


def splits_of(runs: Sequence[TrainedRun]) -> list[str]:
    """Return the splits on which all models have figures, validation first."""
    having = [
        split
        for split in ("validation", "test")
        if all("average_accuracy" in run.figures(split) for run in runs)
    ]
    return having or ["validation"]


def rows_of(
    page: Page, base: BaseRun, retrained: Sequence[tuple[ModelRun, ...]], split: str
) -> list[Compared]:
    """Return the figures of all models, the base first."""
    project = page.desk.project
    keys = [" ".join([base.id, *(run.id for run in alike)]) for alike in retrained]
    rows = [_row(project, base, alike, key, split) for alike, key in zip(retrained, keys, strict=True)]
    return [_base_row(project, base, base.id, split), *rows]


def verdicts_of(page: Page, rows: Sequence[Compared]) -> dict[str, bool]:
    """Return by run whether the gate lets it pass; what it does not judge is left out."""
    judged = [row for row in rows if row.kind == "retraining" and not row.oracle]
    project = page.desk.project
    champion = version_of(project.tracking, model_name(project))
    against = "" if champion is None else champion.version
    found = {row.run_id: _passes(project, row.run_id, against) for row in judged}
    return {run: passes for run, passes in found.items() if passes is not None}


def changed(page: Page, base: TrainedRun, run: TrainedRun, split: str) -> Changed:
    """Return which images a model fixed and broke."""
    return _changed(page.desk.project, base, run, f"{base.id} {run.id}", split)


# Streamlit leaves out of the key what begins with an underscore.
@st.cache_resource(max_entries=KEPT_PAIRS, show_spinner=False)
def compare_link(_page: Page, runs: Sequence[str]) -> str | None:
    """Return MLflow's page of the same runs; None where no server shows one."""
    return compare_page(_page.desk.project, runs)


@st.cache_resource(max_entries=KEPT_ROWS, show_spinner=False)
def _base_row(_project: Workspace, _base: BaseRun, run_id: str, split: str) -> Compared:
    return compared_base(_project, _base, split)


@st.cache_resource(max_entries=KEPT_ROWS, show_spinner=False)
def _row(
    _project: Workspace, _base: BaseRun, _alike: tuple[ModelRun, ...], runs: str, split: str
) -> Compared:
    return compared_with(_project, _base, _alike, split)


@st.cache_resource(max_entries=KEPT_PAIRS, show_spinner=False)
def _changed(_project: Workspace, _base: TrainedRun, _run: TrainedRun, pair: str, split: str) -> Changed:
    return changed_images(_project, _base, _run, split)


@st.cache_resource(max_entries=KEPT_ROWS, show_spinner=False)
def _passes(_project: Workspace, run_id: str, champion: str) -> bool | None:
    """Return what the gate says while a version is champion; None of a run of an older version."""
    try:
        return judge(_project, run_id).passed
    except InputError:
        return None
