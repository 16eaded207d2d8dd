"""The sidebar: the five pages with one live fact each, and at the bottom who is there."""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from clarify.ui import blocks
from clarify.ui.page import DATA, Page

__all__ = ["draw_sidebar"]


def draw_sidebar(page: Page, pages: dict[str, StreamlitPage]) -> None:
    """Draw it."""
    manifest = page.desk.project.manifest
    facts = {
        "classes": f"{len(manifest.classes):,}",
        "describe": st.query_params.get("class", st.session_state.get("class", "")),
        "retrain": "",
        "compare": _models(page),
        "registry": _champion(page),
    }
    with st.sidebar:
        st.html(f'<div class="c-brand">Clarify</div>{blocks.muted(manifest.title)}')
        _choose_data_set(page)
        for name, fact in facts.items():
            st.page_link(pages[name], label=_label(name.capitalize(), fact), width="stretch",
                         query_params={DATA: manifest.name})  # fmt: skip
        role = ", lead" if page.visitor.lead and page.shared.settings.leads else ""
        st.html(
            f'<div class="c-foot">reviewer · {blocks.cell(page.visitor.name + role)}<br>'
            f"{blocks.cell(_tracking(page))}</div>"
        )
        with st.container(key="link-tutorial"):
            st.page_link(pages["tutorial"], label="Tutorial", width="content")


def _tracking(page: Page) -> str:
    """Say whether what was done is in the tracking store."""
    tracking = page.desk.project.tracking
    waiting = len(tracking.outbox.names())
    if waiting:
        return f"tracking: {waiting:,} descriptions wait here until the store is back"
    trouble = page.desk.trouble or tracking.away
    return f"tracking: {trouble.partition('; ')[0]}" if trouble else "tracking: up to date"


def _label(name: str, fact: str) -> str:
    shown = fact if len(fact) <= 18 else f"{fact[:17]}…"
    return f"{name} :gray[{blocks.plain(shown)}]" if fact else name


def _models(page: Page) -> str:
    count = len(page.desk.runs("retraining")) + len(page.desk.runs("base"))
    return str(count) if count else ""


def _champion(page: Page) -> str:
    changes = page.desk.runs("promotion")
    newest = max(changes, key=lambda run: int(run.params["number"]), default=None)
    return f"v{newest.params['to_version']}" if newest else ""


def _choose_data_set(page: Page) -> None:
    names = page.shared.desks.names()
    if len(names) < 2:
        return
    now = page.desk.project.manifest.name
    chosen = st.selectbox("Data set", names, index=names.index(now), label_visibility="collapsed")
    if chosen != now:
        st.query_params.clear()
        st.session_state[DATA] = chosen
        st.rerun()
