"""What the Registry page shows and does: who may, once at a time, read again when it changed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import streamlit as st

from clarify.errors import InputError, RefusedError
from clarify.track.runs import BaseRun, ModelRun
from clarify.ui.compare.model_table import corrected_by, day, distinct, minute
from clarify.ui.pieces import blocks
from clarify.ui.retrain.outcomes import part_words
from clarify.workflow.decide import champions as registry
from clarify.workflow.decide.gate import judge
from clarify.workflow.decide.promote import promote
from clarify.workflow.model.models import usable_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify.track.runs import TrainedRun
    from clarify.track.verdict import Verdict
    from clarify.ui.pieces.page import Page
    from clarify.workflow.decide.champions import Event, Lineage, RegistryState
    from clarify.workflow.model.project import Workspace

__all__ = [
    "by_run",
    "candidates",
    "checks",
    "event_html",
    "labels_of",
    "lineage_of",
    "make_champion",
    "may_change",
    "roll_back",
    "run_title",
    "standing_of",
    "verdict_of",
]

FRESH_S = 3.0
KEPT = 256
_ONE_AT_A_TIME = threading.Lock()


def standing_of(page: Page) -> RegistryState:
    """Return how the data set's model stands; a few seconds old at most."""
    project = page.desk.project
    return _standing(project, f"{project.home} {project.tracking.address.shown}", project.manifest.name)


def candidates(page: Page) -> list[ModelRun]:
    """Return what can be promoted of what was retrained on this data set, newest first.

    Oracles saw the labels, and seeds other than the first did not see all images.
    """
    return [
        run
        for run in usable_runs(page.desk.project, page.desk.runs(ModelRun))
        if not run.oracle and run.seed == 0
    ]


def by_run(page: Page) -> dict[str, TrainedRun]:
    """Return every model's run by its id."""
    return {run.id: run for run in (*page.desk.runs(BaseRun), *page.desk.runs(ModelRun))}


def run_title(run: TrainedRun | None) -> str:
    """Return what a model is called on a page; None is one whose run is gone."""
    if run is None:
        return "A model that is gone"
    if isinstance(run, BaseRun):
        return "Base model"
    return corrected_by([] if run.oracle else run.phrases)


def labels_of(runs: Sequence[TrainedRun]) -> dict[str, str]:
    """Return what each model is called in a list, by run; no two alike."""
    names = []
    for run in runs:
        how = run.objective.replace("_", " ")
        how += "" if run.part == "head" else f", {part_words(run.part)}"
        names.append(f"{run_title(run)} ({how}), by {run.by}, {day(run.started)}")
    return dict(zip([run.id for run in runs], distinct(names), strict=True))


# Streamlit leaves out of the key what begins with an underscore.
@st.cache_resource(max_entries=KEPT, show_spinner=False)
def lineage_of(_page: Page, run_id: str) -> Lineage:
    """Return where a model comes from; kept, for runs never change.

    Raises
    ------
    NotFoundError
        If its run is gone.
    """
    return registry.lineage(_page.desk.project, run_id)


def verdict_of(page: Page, run: ModelRun) -> Verdict:
    """Return what the gate says of a retrained model; InputError for an oracle."""
    return judge(page.desk.project, run.id)


def may_change(page: Page) -> str:
    """Return why the visitor may not promote nor roll back; empty if they may."""
    if page.visitor.lead:
        return ""
    leads = ", ".join(page.shared.settings.leads)
    return f"Only leads promote and roll back; ask one of them: {leads}."


def make_champion(page: Page, run: ModelRun, note: str, *, overrule: str = "") -> str:
    """Promote a model, never twice on a double click; return its version.

    Parameters
    ----------
    overrule : str
        Why it is to be champion although the gate refuses it.

    Raises
    ------
    RefusedError
        If the visitor is no lead, or the gate refuses.
    InputError
        If it is the champion already.
    """
    _check_lead(page)
    with _ONE_AT_A_TIME:
        champion = registry.registry_state(page.desk.project).champion
        if champion is not None and champion.run_id == run.id:
            raise InputError(
                f"{run_title(run)} is the champion already, as version {champion.version}; "
                "nothing was changed"
            )
        done = promote(page.project, run.id, note=note, overrule=overrule)
    _forget(page)
    if not done.verdict.stands:
        failed = done.verdict.failed
        raise RefusedError(f"The gate refuses {run_title(run)}: {failed}")
    return done.version


def roll_back(page: Page, version: str, note: str) -> Event:
    """Make an earlier champion the champion again.

    Raises
    ------
    RefusedError
        If the visitor is no lead.
    NotFoundError, InputError
        As `rollback`: another was faster, so that it is champion already.
    """
    _check_lead(page)
    with _ONE_AT_A_TIME:
        event = registry.rollback(page.project, version, note=note)
    _forget(page)
    return event


def checks(verdict: Verdict) -> str:
    """Return the gate's reasons as a check list."""
    points = (
        f'<li class="{"passes" if each.passed else "fails"}">'
        f"{blocks.cell(each.text[:1].upper() + each.text[1:])}</li>"
        for each in verdict.reasons
    )
    return f'<ul class="c-checks">{"".join(points)}</ul>'


def event_html(event: Event, title: str, *, now: bool, overruled: str = "") -> str:
    """Return one change of the champion as a point in time, and why the gate was overruled, if it was."""
    what = "rolled back to" if event.action == "rollback" else "promoted"
    note = f" <q>{blocks.cell(event.note)}</q>" if event.note else ""
    undone = "" if event.done else " It never became champion."
    against = f" The gate refused it, and was overruled: {overruled}" if overruled else ""
    kind = "now" if now else "" if event.done else "undone"
    return (
        f'<div class="c-event {kind}"><div><b>{blocks.cell(title)}</b>, version '
        f"{blocks.cell(event.to_version)}{note}</div>"
        + blocks.muted(f"{event.by} {what} it on {minute(event.at)}.{undone}{against}")
        + "</div>"
    )


def _check_lead(page: Page) -> None:
    reason = may_change(page)
    if reason:
        raise RefusedError(reason)


def _forget(page: Page) -> None:
    page.desk.look_again()
    _standing.clear()


@st.cache_resource(ttl=FRESH_S, max_entries=KEPT, show_spinner=False)
def _standing(_project: Workspace, store: str, data_set: str) -> RegistryState:
    return registry.registry_state(_project)
