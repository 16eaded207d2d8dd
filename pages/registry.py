"""The champion and why it is; promote, roll back, and where a model comes from."""

from __future__ import annotations

import streamlit as st

from clarify.errors import ClarifyError, InputError
from clarify.track.runs import ModelRun
from clarify.ui.compare.model_table import day
from clarify.ui.pieces import blocks
from clarify.ui.pieces.page import Page, current, refuse, stop_with
from clarify.ui.registry.actions import (
    by_run,
    candidates,
    checks,
    event_html,
    labels_of,
    make_champion,
    may_change,
    roll_back,
    run_title,
    standing_of,
    verdict_of,
)
from clarify.ui.registry.champion import draw_beside, draw_champion
from clarify.workflow.decide.champions import RegistryState

EVENTS_SHOWN = 20
CANDIDATE = "It stays a candidate. Try another phrase or more images."


def draw(page: Page) -> None:
    """Draw the page."""
    try:
        models = candidates(page)
        found = standing_of(page) if models else None
    except ClarifyError as error:
        stop_with(error)
    st.html(blocks.title(*heading(page, found), crumb=page.project.manifest.title))
    if "told" in st.session_state:
        st.toast(st.session_state.pop("told"))
    if found is None:
        st.html(
            blocks.empty(
                "There is no model to promote yet.", "Keep a phrase on Describe, then use it on Retrain."
            )
        )
        return
    left, right = st.columns([1.15, 1], gap="medium")
    with left, st.container(border=True, key="panel-champion"):
        draw_champion(page, found)
    with right, st.container(border=True, key="panel-promote"):
        draw_promote(page, found, models)
    if found.events:
        with st.container(border=True, key="panel-history"):
            draw_history(page, found)


def heading(page: Page, found: RegistryState | None) -> tuple[str, str]:
    """Return the page's title and how things stand."""
    if found is None or found.champion is None:
        return "No champion yet", "the model that others load by name"
    title = run_title(by_run(page).get(found.champion.run_id))
    return title, f"version {found.champion.version} is the champion"


def draw_promote(page: Page, found: RegistryState, models: list[ModelRun]) -> None:
    """Draw the choice of a model, what the gate says of it, and the way to promote it."""
    st.html('<div class="c-name">Promote a model</div>')
    champion = found.champion.run_id if found.champion else ""
    runs = {run.id: run for run in models}
    if st.session_state.get("candidate") not in runs:  # nobody chose: the newest is not at hand by itself
        st.session_state["candidate"] = None
    chosen = st.selectbox(
        "Model",
        list(runs),
        key="candidate",
        persist_state="session",
        format_func=labels_of(models).__getitem__,
        label_visibility="collapsed",
        placeholder="Choose a model",
    )
    if chosen is None:
        st.html(blocks.muted("It is then set beside the base model and the champion."))
        return
    run = runs[chosen]
    draw_beside(page, found, run)
    try:
        verdict = verdict_of(page, run)
    except ClarifyError as error:
        st.html(blocks.muted(str(error)))
        return
    word, kind = ("The gate passes it", "c-passes") if verdict.passed else ("The gate refuses it", "c-fails")
    st.html(f'<span class="{kind}">{word}</span>{checks(verdict)}')
    reason = hindrance(page, run, champion, passed=verdict.passed)
    if reason:
        st.html(blocks.muted(reason))
        return
    if not verdict.passed:
        st.html(blocks.muted(f"{CANDIDATE} Or say why the gate is wrong here."))
    note = st.text_input(
        "Why" if verdict.passed else "Why overrule",
        key=f"note-{chosen}",
        max_chars=2000,
        autocomplete="off",
        placeholder="Why? It stands in the history.",
        label_visibility="collapsed",
    )
    does, kind = ("Promote", "primary") if verdict.passed else ("Overrule the gate for", "secondary")
    if st.button(blocks.plain(f"{does} “{run_title(run)}”"), type=kind):
        if not verdict.passed and not note.strip():
            refuse(InputError("The gate is overruled with a reason only; write it into the field above."))
            return
        try:
            with st.spinner("Registering the model with its encoder"):
                version = make_champion(page, run, note, overrule="" if verdict.passed else note)
        except ClarifyError as error:
            refuse(error)
            return
        st.session_state["told"] = f"Version {version} is the champion."
        st.rerun()


def hindrance(page: Page, run: ModelRun, champion: str, *, passed: bool) -> str:
    """Return why a model cannot be promoted, with the next step; empty if it can."""
    if run.id == champion:
        return "It is the champion already."
    not_lead = may_change(page)
    return f"{CANDIDATE} A lead may overrule the gate." if not_lead and not passed else not_lead


def draw_history(page: Page, found: RegistryState) -> None:
    """Draw every change of the champion, newest first; each earlier champion is one click away."""
    st.html('<div class="c-name">History</div>')
    allowed = not may_change(page)
    note = ""
    if allowed and found.earlier:
        note = st.text_input(
            "Why roll back",
            key="rollback-note",
            max_chars=2000,
            placeholder="Why roll back? It stands in the history.",
            autocomplete="off",
            label_visibility="collapsed",
        )
    runs, offered = by_run(page), set() if allowed else set(found.earlier)
    events = found.events if st.session_state.get("all-events") else found.events[:EVENTS_SHOWN]
    for event in events:
        is_now = event is found.crowning
        back = event.to_version in found.earlier and event.to_version not in offered
        offered.add(event.to_version)
        version = found.version(event.to_version)
        overruled = version.verdict.overruled if version else ""
        text = event_html(event, run_title(runs.get(event.run_id)), now=is_now, overruled=overruled)
        draw_event(page, text, event.to_version if back else "", note)
    for number in sorted(set(found.earlier) - offered, key=int, reverse=True):
        version = found.version(number)
        if version is not None and len(events) == len(found.events):
            title = blocks.cell(run_title(runs.get(version.run_id)))
            text = f'<div class="c-event"><b>{title}</b>, version {number}'
            text += blocks.muted(f"{version.by} registered it on {day(version.at)}.") + "</div>"
            draw_event(page, text, number, note)
    if len(events) < len(found.events):
        st.button(
            "Show all",
            type="tertiary",
            key="all-events-button",
            on_click=st.session_state.__setitem__,
            args=("all-events", True),
        )
    refused = [
        f"version {each.version} ({run_title(runs.get(each.run_id))}, asked by {each.by})"
        for each in found.versions
        if not each.verdict.stands
    ]
    if refused:
        st.html(blocks.muted(f"Refused by the gate: {', '.join(refused[:EVENTS_SHOWN])}."))


def draw_event(page: Page, text: str, back_to: str, note: str) -> None:
    """Draw one point in time, with the way back to it."""
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.html(text)
        if not back_to or not st.button(f"Roll back to version {back_to}", key=f"back-{back_to}"):
            return
    try:
        with st.spinner("Rolling back"):
            roll_back(page, back_to, note)
    except ClarifyError as error:
        refuse(error)
        return
    st.session_state["told"] = f"Version {back_to} is the champion again."
    st.rerun()


draw(current())
