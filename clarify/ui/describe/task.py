"""The left side of the Describe page: the sentence, its score, and the phrases of everybody."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import streamlit as st

from clarify.errors import ClarifyError
from clarify.ui.describe.phrase_list import phrase_chips, phrase_rows
from clarify.ui.describe.phrases import (
    keep,
    own_kept,
    phrases_of,
    suggestions,
    tried_now,
    undo,
    wants_suggestions,
)
from clarify.ui.pieces import blocks
from clarify.ui.pieces.page import Page, refuse

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from clarify.workflow.describe.phrases import TriedPhrase
    from clarify.workflow.model.failures import Failures

__all__ = ["TaskPanel", "draw_preview", "draw_task"]

PHRASE, NEXT = "phrase", "next_phrase"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TaskPanel:
    """What came of the phrase in the field (None without a legal one), and where its preview goes."""

    tried: TriedPhrase | None
    preview: DeltaGenerator


def draw_task(page: Page, failures: Failures, class_name: str) -> TaskPanel:
    """Draw it, but for the preview: that comes last, when the pictures are there."""
    with st.container(border=True, key="panel-task", gap="xsmall"):
        wants_keeping = _draw_sentence()
        tried = None
        try:
            tried = tried_now(page, failures, class_name, str(st.session_state[PHRASE]))
            if tried is not None:
                _draw_score(tried)
                _draw_keeping(page, failures, tried, now=wants_keeping)
        except ClarifyError as error:
            refuse(error)
        place = st.empty()
        if tried is not None:
            waiting = blocks.muted("Working out what retraining would do …")
            place.html(f'<div class="c-box c-preview">{waiting}</div>')
        _draw_phrases(page, failures, class_name)
        _draw_suggestions(page, failures, class_name)
    return TaskPanel(tried=tried, preview=place)


def draw_preview(page: Page, failures: Failures, task: TaskPanel) -> None:
    """Say what retraining with the phrase would do."""
    if task.tried is None:
        return
    try:
        found, _ = page.desk.preview(failures, task.tried.description)
    except ClarifyError as error:
        task.preview.html(f'<div class="c-box c-preview">{blocks.muted(str(error))}</div>')
        return
    rows = [
        [blocks.cell(each.name), blocks.percent(each.now), f"<b>{blocks.percent(each.then)}</b>"]
        for each in found
    ]
    table = blocks.table(["If retrained with it", "now", "then"], rows)
    cut = found[0].cut
    moved = cut != task.tried.description.threshold
    told = blocks.muted(f"Retraining cuts at {cut:.3f}, where the concept ends.") if moved else ""
    task.preview.html(f'<div class="c-box c-preview">{table}{told}</div>')


def choose(phrase: str) -> None:
    """Put a phrase into the field and run the page again."""
    st.session_state[NEXT] = phrase
    st.rerun()


def _draw_sentence() -> bool:
    """Draw the sentence and its buttons; returns whether it is to be kept."""
    # A phrase that was chosen elsewhere is put in before the field is made.
    if NEXT in st.session_state:
        st.session_state[PHRASE] = st.session_state.pop(NEXT)
    st.html('<div class="c-sentence">The model is often wrong with images that have</div>')
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom", key="blank"):
        st.text_input(
            "What the images have",
            key=PHRASE,
            label_visibility="collapsed",
            max_chars=300,
            placeholder="a word or a few",
            autocomplete="off",
        )
        st.html('<div class="c-sentence">in them.</div>', width="content")
    with st.container(horizontal=True, gap="small", key="try"):
        st.button("Test it", type="primary", shortcut="Ctrl+Enter")
        return st.button("Keep it", shortcut="Alt+K", disabled=not st.session_state[PHRASE])


def _draw_score(tried: TriedPhrase) -> None:
    """Say how well the phrase explains the errors, and how far to trust that."""
    score, found = tried.evidence.score, tried.evidence
    if tried.caution:
        st.warning(blocks.plain(f"{tried.caution[0].upper()}{tried.caution[1:]}. This score says nothing."))
    st.html(
        f'<div class="c-score"><b class="c-big">{score.value:.2f}</b><div class="c-muted">'
        f"<b>{blocks.cell(tried.verdict.capitalize())}.</b> It puts "
        f"{100 * score.wrong_on_wrong_side:.0f}% of the wrong images on one side and "
        f"{100 * (1 - score.correct_on_wrong_side):.0f}% of the right ones on the other.</div>"
        f"</div>{blocks.bar(score.value)}"
        '<div class="c-ends"><span>0 chance</span><span>1 perfect</span></div>'
    )
    st.html(blocks.muted(" ".join(_doubts(tried))))
    if found.few_wrong:
        st.html(blocks.muted(f"Only {score.n_wrong} wrong images: this score may be luck."))


def _doubts(tried: TriedPhrase) -> list[str]:
    found = tried.evidence
    low, high = found.interval
    near = ", which near 0 is right less often" if found.near_zero else ""
    said = [f"95% interval {low:.2f} to {high:.2f}{near}."]
    if tried.best_score > found.score.value:
        said.insert(0, f"By the cut as you moved it; the best one scores {tried.best_score:.2f}.")
    far = found.held_out is not None and found.score.value - found.held_out > 0.15
    said.append(f"{found.checked}{', far lower: do not trust the score' if far else ''}.")
    p = "< 0.001" if found.p_corrected < 0.001 else f"= {found.p_corrected:.2g}"
    tries = "1 phrase" if found.n_tried == 1 else f"{found.n_tried:,} phrases"
    said.append(f"After {tries} tried: p {p}.")
    if tried.captions_told:
        said.append(f"{tried.captions_told.capitalize()}.")
    return said


def _draw_keeping(page: Page, failures: Failures, tried: TriedPhrase, *, now: bool) -> None:
    """Keep the phrase if asked, with a note; offer to take back what this visitor kept."""
    if now:
        keep(page, failures, tried, note=str(st.session_state.get("note", "")))
    kept = own_kept(page, failures, tried)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="after"):
        with st.popover("Add a note", width="content", type="tertiary"):
            st.text_area("Anything worth remembering", max_chars=2000, key="note")
        if st.button("See original data", type="tertiary"):
            choose("")
        if kept is not None and st.button("Take it back", type="tertiary"):
            undo(page, kept)
            st.rerun()


def _draw_phrases(page: Page, failures: Failures, class_name: str) -> None:
    """List the phrases that anybody tried, best first, each one click away."""
    listed = phrases_of(page, failures, class_name)
    st.html(blocks.heading(f"Phrases tried for {class_name}"))
    if not listed:
        st.html(blocks.muted("None yet. Look at the wrong images: what do they have in common?"))
        return
    rows = [(each.phrase, each.by, each.score, each.kept) for each in listed]
    chosen = phrase_rows(rows, key="phrases")
    if chosen is not None and listed[chosen].phrase != st.session_state[PHRASE]:
        choose(listed[chosen].phrase)


@st.fragment(run_every=2.0)
def _await_suggestions(page: Page, failures: Failures, class_name: str) -> None:
    """Look now and then whether the machine has finished; then run the page again."""
    if suggestions(page, failures, class_name) is not None:
        st.rerun()
    st.html(blocks.muted("It is still searching its vocabulary."))


def _draw_suggestions(page: Page, failures: Failures, class_name: str) -> None:
    """Show the machine's phrases, once the person has tried one of their own."""
    if not wants_suggestions(page, failures, class_name):
        return
    st.html(blocks.heading("The machine suggests"))
    if page.project.caution:
        st.html(blocks.muted(f"{page.project.caution[0].upper()}{page.project.caution[1:]}."))
    found = suggestions(page, failures, class_name)
    if found is None:
        _await_suggestions(page, failures, class_name)
    elif isinstance(found, str):
        st.html(blocks.muted(found))
    elif not found:
        st.html(blocks.muted("Nothing that holds on images it was not fitted to."))
    else:
        st.html(blocks.muted("With the points that the mean of the classes gains, once retrained with it."))
        chosen = phrase_chips(found, key="suggestions")
        if chosen is not None and found[chosen][0] != st.session_state[PHRASE]:
            choose(found[chosen][0])
