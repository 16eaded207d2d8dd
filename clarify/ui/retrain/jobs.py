"""What runs and what ran, the same for every session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from clarify.errors import ClarifyError
from clarify.ui.pieces import blocks
from clarify.ui.pieces.page import DATA, PAGES, Page, refuse
from clarify.ui.retrain.outcomes import Outcome, job_html, outcome_of
from clarify.workflow.jobs.queue import cancel, jobs, start

if TYPE_CHECKING:
    from clarify.workflow.jobs.files import Job

__all__ = ["draw_jobs"]

AT_WORK_S, IDLE_S = 1.0, 5.0
"""How often the jobs are looked at: also where nothing runs, since somebody else may start one."""


def draw_jobs(page: Page) -> None:
    """Draw them, and look at them again from then on."""
    found = _jobs(page)
    at_work = any(job.active for job in found)
    st.fragment(_draw_live, run_every=AT_WORK_S if at_work else IDLE_S)(page, _states(found))


def _draw_live(page: Page, drawn: list[tuple[str, str]]) -> None:
    """Draw the jobs; where one began or ended, the whole page is drawn anew."""
    found = _jobs(page)
    if _states(found) != drawn:
        page.desk.forget_runs()
        st.rerun()
    if not found:
        with st.container(border=True, key="panel-jobs"):
            st.html(
                blocks.empty(
                    "Nothing was retrained here yet.", "Choose phrases on the left and press Retrain."
                )
            )
    for job in found:
        with st.container(border=True, key=f"panel-job-{job.digest}"):
            _draw_job(page, job)


def _draw_job(page: Page, job: Job) -> None:
    st.html(job_html(job, _outcome(page, job)))
    try:
        if job.active:
            if st.button("Cancel", key=f"cancel-{job.digest}", disabled=job.stopping):
                cancel(page.project.home, job.digest)
                st.rerun()
        elif job.status.state == "done":
            st.page_link(
                str(PAGES / "compare.py"),
                label="Compare it with the others",
                query_params={DATA: page.project.manifest.name},
            )
        elif st.button("Start again", key=f"again-{job.digest}"):
            start(page.project, job.request, job.phrases)
            st.rerun()
    except ClarifyError as error:
        refuse(error)


def _outcome(page: Page, job: Job) -> Outcome | None:
    """Return what a job came to; read once a session, None if it cannot be."""
    run = job.status.run
    if not run:
        return None
    key = f"outcome-{run}"
    if key not in st.session_state:
        try:
            gate = page.project.tracking.artifact(run, "gate.json")
            st.session_state[key] = outcome_of(gate, page.project.manifest.classes)
        except ClarifyError:  # deleted, or away: the card is drawn without figures
            return None
    found: Outcome = st.session_state[key]
    return found


def _jobs(page: Page) -> list[Job]:
    return jobs(page.project.home, page.project.manifest.name)


def _states(found: list[Job]) -> list[tuple[str, str]]:
    return [(job.digest, job.status.state) for job in found]
