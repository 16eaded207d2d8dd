"""What the Compare page shows, read once: completed runs never change, so their ids are the key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from clarify.errors import InputError, NotFoundError
from clarify.track.runs import BaseRun, ModelRun
from clarify.workflow.decide.compare import (
    Champion,
    Changed,
    champion_among,
    changed_images,
    compare_page,
    retrained_from,
    side_by_side,
)
from clarify.workflow.decide.compared import Compared
from clarify.workflow.decide.gate import judge
from clarify.workflow.model.models import usable_runs

if TYPE_CHECKING:
    from clarify.track.runs import TrainedRun
    from clarify.ui.pieces.page import Page
    from clarify.workflow.model.project import Workspace

__all__ = ["changed", "compare_link", "models", "rows_of", "splits_of", "verdicts_of"]

KEPT, KEPT_VERDICTS = 32, 1_000
"""Comparisons and lists of images, and the gate's verdicts, that are kept for all sessions."""


def models(page: Page) -> tuple[BaseRun, list[tuple[ModelRun, ...]], Champion | None]:
    """Return the newest base model, what was retrained from it, oldest first, and the champion.

    Those that differ by the seed alone stand together.

    Raises
    ------
    NotFoundError
        If there is no base model, or nothing was retrained from it; tells the next step.
    """
    project = page.desk.project
    bases = usable_runs(project, page.desk.runs(BaseRun))
    if not bases:
        raise NotFoundError(f"There is no model to compare yet; run: clarify train {project.manifest.name}")
    runs = page.desk.runs(ModelRun)
    retrained = retrained_from(runs, bases[0])
    if not retrained:
        raise NotFoundError(
            "Nothing was retrained from the base model yet; keep a phrase on Describe, then use it on Retrain"
        )
    return bases[0], retrained, champion_among(project, runs)


def splits_of(runs: Sequence[TrainedRun]) -> list[str]:
    """Return the splits on which all models have figures, validation first."""
    having = [
        split
        for split in ("validation", "test")
        if all("average_accuracy" in run.figures(split) for run in runs)
    ]
    return having or ["validation"]


def rows_of(
    page: Page,
    base: BaseRun,
    retrained: Sequence[tuple[ModelRun, ...]],
    champion: Champion | None,
    split: str,
) -> tuple[Compared, ...]:
    """Return the rows of the comparison, the base first."""
    runs = " ".join([base.id, *(run.id for alike in retrained for run in alike)])
    crowned = "" if champion is None else champion.version
    return _rows(page.desk.project, base, retrained, champion, f"{runs} {crowned}", split)


def verdicts_of(page: Page, rows: Sequence[Compared], champion: Champion | None) -> dict[str, bool]:
    """Return by run whether the gate lets it pass; what it does not judge is left out."""
    judged = [row for row in rows if row.kind == "retraining" and not row.oracle]
    against = "" if champion is None else champion.version
    found = {row.run_id: _passes(page.desk.project, row.run_id, against) for row in judged}
    return {run: passes for run, passes in found.items() if passes is not None}


def changed(page: Page, base: TrainedRun, run: TrainedRun, split: str) -> Changed:
    """Return which images a model fixed and broke."""
    return _changed(page.desk.project, base, run, f"{base.id} {run.id}", split)


# Streamlit leaves out of the key what begins with an underscore.
@st.cache_resource(max_entries=KEPT, show_spinner=False)
def compare_link(_page: Page, runs: Sequence[str]) -> str | None:
    """Return MLflow's page of the same runs; None where no server shows one."""
    return compare_page(_page.desk.project, runs)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _rows(
    _project: Workspace,
    _base: BaseRun,
    _retrained: Sequence[tuple[ModelRun, ...]],
    _champion: Champion | None,
    runs: str,
    split: str,
) -> tuple[Compared, ...]:
    return side_by_side(_project, _base, _retrained, _champion, split)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _changed(_project: Workspace, _base: TrainedRun, _run: TrainedRun, pair: str, split: str) -> Changed:
    return changed_images(_project, _base, _run, split)


@st.cache_resource(max_entries=KEPT_VERDICTS, show_spinner=False)
def _passes(_project: Workspace, run_id: str, champion: str) -> bool | None:
    """Return what the gate says while a version is champion; None of what it cannot judge (any more)."""
    try:
        return judge(_project, run_id).passed
    except (InputError, NotFoundError):
        return None
