"""What runs and what ran, the same for every session."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from clarify.errors import ClarifyError
from clarify.track.runs import ModelRun
from clarify.ui.pieces import blocks
from clarify.ui.pieces.page import DATA, PAGES, Page, refuse
from clarify.ui.retrain.outcomes import Outcome, job_html, outcome_of, run_html
from clarify.workflow.jobs.files import Job
from clarify.workflow.jobs.queue import cancel, jobs, start

__all__ = ["draw_jobs"]

MOST = 20

AT_WORK_S, IDLE_S = 1.0, 5.0
"""How often the jobs are looked at: also where nothing runs, since somebody else may start one."""


def draw_jobs(page: Page) -> None:
    """Draw them, and look at them again from then on."""
    found = _listed(page)
    at_work = any(isinstance(each, Job) and each.active for each in found)
    st.fragment(_draw_live, run_every=AT_WORK_S if at_work else IDLE_S)(page, _states(found))


def _draw_live(page: Page, drawn: list[tuple[str, str]]) -> None:
    """Draw what there is; where something began or ended, the whole page is drawn anew."""
    found = _listed(page)
    if _states(found) != drawn:
        page.desk.look_again()
        st.rerun()
    if not found:
        with st.container(border=True, key="panel-jobs"):
            st.html(
                blocks.empty(
                    "Nothing was retrained here yet.", "Choose phrases on the left and press Retrain."
                )
            )
    for each in found:
        with st.container(border=True, key=f"panel-job-{each.digest if isinstance(each, Job) else each.id}"):
            if isinstance(each, Job):
                _draw_job(page, each)
            else:
                st.html(run_html(each, _outcome(page, each.id)))
                _draw_link(page)


def _draw_job(page: Page, job: Job) -> None:
    st.html(job_html(job, _outcome(page, job.status.run)))
    try:
        if job.active:
            if st.button("Cancel", key=f"cancel-{job.digest}", disabled=job.stopping):
                cancel(page.project.home, job.digest)
                st.rerun()
        elif job.status.state == "done":
            _draw_link(page)
        elif st.button("Start again", key=f"again-{job.digest}"):
            start(page.project, job.request, job.phrases)
            st.rerun()
    except ClarifyError as error:
        refuse(error)


def _draw_link(page: Page) -> None:
    st.page_link(
        str(PAGES / "compare.py"),
        label="Compare it with the others",
        query_params={DATA: page.project.manifest.name},
    )


def _outcome(page: Page, run: str) -> Outcome | None:
    """Return what a retraining came to; read once a session, None if it cannot be."""
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


def _listed(page: Page) -> list[Job | ModelRun]:
    """Return what is at work, then what ended, newest first: jobs, and what was retrained elsewhere.

    That is by the command line, and by others on the same store. Of several seeds the first stands for all.
    """
    found = jobs(page.project.home, page.project.manifest.name, most=MOST)
    own = {job.status.run for job in found}
    others = [run for run in page.desk.runs(ModelRun) if run.seed == 0 and not run.ids & own]
    at_work = [job for job in found if job.active]
    ended: list[Job | ModelRun] = [*(job for job in found if not job.active), *others[:MOST]]
    ended.sort(key=lambda each: -(each.asked_at if isinstance(each, Job) else each.started))
    return [*at_work, *ended][:MOST]


def _states(found: Sequence[Job | ModelRun]) -> list[tuple[str, str]]:
    return [
        (each.digest, each.status.state) if isinstance(each, Job) else (each.id, "done") for each in found
    ]
