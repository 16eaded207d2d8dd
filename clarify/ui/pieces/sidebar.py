"""The sidebar: the five pages with one live fact each, and at the bottom who is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import StreamlitPage

from clarify.errors import ClarifyError
from clarify.track.runs import BaseRun, DescriptionRun, ModelRun, PromotionRun, Run
from clarify.ui.pieces import blocks
from clarify.ui.pieces.page import DATA, Page
from clarify.workflow.decide.compare import retrained_from
from clarify.workflow.model.models import usable_runs

__all__ = ["draw_foot", "draw_sidebar"]

MOST_NAMES = 4
REDRAWN_S = 3.0
"""How often the foot is drawn again while the store is away."""


def draw_sidebar(page: Page, pages: dict[str, StreamlitPage]) -> DeltaGenerator:
    """Draw it; returns where `draw_foot` draws again what the page may have changed."""
    manifest = page.desk.project.manifest
    looked_at = st.session_state.get("class", "")
    last = {"class": looked_at} if looked_at in manifest.classes else {}
    facts = {
        "classes": f"{len(manifest.classes):,}",
        "describe": st.query_params.get("class", st.session_state.get("class", "")),
        "retrain": "",
        "compare": _models(page),
        "registry": _champion(page),
    }
    with st.sidebar:
        st.html('<div class="c-brand">Clarify</div>')
        _choose_data_set(page)
        for name, fact in facts.items():
            st.page_link(
                pages[name],
                label=_label(name.capitalize(), fact),
                width="stretch",
                query_params={DATA: manifest.name, **(last if name == "describe" else {})},
            )
        with st.container(key="foot", gap=None):
            draw_team(page)
            foot = st.empty()
            st.page_link(pages["tutorial"], label="Tutorial", width="content")
    draw_foot(page, foot)
    if _trouble(page):
        _redraw_foot(page, foot)
    return foot


def draw_team(page: Page) -> None:
    """Say who else is here now, and what others did since the visitor was here before."""
    began, before = page.shared.presence.saw(page.visitor.name)
    others = [name for name in page.shared.presence.here() if name != page.visitor.name]
    said = [f"here now: {', '.join(others[:MOST_NAMES])}"] if others else []
    if len(others) > MOST_NAMES:
        said[0] += f" and {len(others) - MOST_NAMES:,} more"
    if news := _news(page, began, before):
        said.append(f"since you were here: {news}")
    if said:
        st.html('<div class="c-foot">' + "<br>".join(blocks.cell(each) for each in said) + "</div>")


def _news(page: Page, began: float, before: float | None) -> str:
    """Count what others did since the visit before; unless that was seen, since the last record."""
    me = page.visitor.name
    kinds = {DescriptionRun: "phrase", ModelRun: "model", PromotionRun: "promotion"}
    runs: dict[str, Sequence[Run]] = {what: page.desk.runs(kind) for kind, what in kinds.items()}
    own = [run.started for each in runs.values() for run in each if run.by == me]
    known = max((each for each in own if each < 1000 * began), default=None)
    since = 1000 * before if before is not None else known
    if since is None:  # never here before: everything is new
        return ""
    counts = {what: sum(run.by != me and run.started > since for run in each) for what, each in runs.items()}
    return ", ".join(f"{n:,} {what}{'' if n == 1 else 's'}" for what, n in counts.items() if n)


def draw_foot(page: Page, place: DeltaGenerator) -> None:
    """Say who is there, and whether what was done is recorded."""
    role = ", lead" if page.visitor.lead and page.shared.settings.leads else ""
    place.html(
        f'<div class="c-foot">reviewer · {blocks.cell(page.visitor.name + role)}<br>'
        f"{blocks.cell(_tracking(page))}</div>"
    )


@st.fragment(run_every=REDRAWN_S)
def _redraw_foot(page: Page, place: DeltaGenerator) -> None:
    """Show by itself that the store is back."""
    draw_foot(page, place)


def _trouble(page: Page) -> str:
    tracking = page.desk.project.tracking
    return "waits" if tracking.outbox.names() else page.desk.trouble or tracking.away


def _tracking(page: Page) -> str:
    """Say whether what was done is in the tracking store."""
    tracking = page.desk.project.tracking
    waiting = len(tracking.outbox.names())
    if waiting:
        what = "1 description waits" if waiting == 1 else f"{waiting:,} descriptions wait"
        return f"tracking: {what} here until the store is back"
    trouble = _trouble(page)
    return f"tracking: {trouble.partition('; ')[0]}" if trouble else "tracking: up to date"


def _label(name: str, fact: str) -> str:
    return f"{name} :gray[{blocks.plain(blocks.short(fact, 18))}]" if fact else name


def _models(page: Page) -> str:
    """Return how many corrections the page lists: its title says the same."""
    bases = usable_runs(page.desk.project, page.desk.runs(BaseRun))
    count = len(retrained_from(page.desk.runs(ModelRun), bases[0])) if bases else 0
    return str(count) if count else ""


def _champion(page: Page) -> str:
    changes = page.desk.runs(PromotionRun)
    newest = max(changes, key=lambda run: run.number, default=None)
    return f"v{newest.to_version}" if newest else ""


def _titles(page: Page, names: list[str]) -> dict[str, str]:
    """Return what each data set is called, no two alike; its name where it cannot be read."""
    found = {}
    for name in names:
        try:
            found[name] = page.shared.desks.manifest(name).title
        except ClarifyError:
            found[name] = name
    several = {title for title, count in Counter(found.values()).items() if count > 1}
    return {name: f"{title} ({name})" if title in several else title for name, title in found.items()}


def _choose_data_set(page: Page) -> None:
    names = page.shared.desks.names()
    if len(names) < 2:
        st.html(blocks.muted(page.desk.project.manifest.title))
        return
    now = page.desk.project.manifest.name
    chosen = st.selectbox(
        "Data set",
        names,
        index=names.index(now),
        label_visibility="collapsed",
        format_func=_titles(page, names).__getitem__,
    )
    if chosen != now:
        st.query_params.clear()
        st.session_state[DATA] = chosen
        st.rerun()
