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
from clarify.ui.describe.view import PHRASE
from clarify.ui.pieces import blocks
from clarify.ui.pieces.page import Page, refuse
from clarify.workflow.retrain.preview import who_pays

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from clarify.track.runs import DescriptionRun
    from clarify.workflow.describe.phrases import TriedPhrase
    from clarify.workflow.model.failures import Failures

__all__ = ["TaskPanel", "draw_preview", "draw_task"]

NEXT, KEEP = "next_phrase", "Keep it"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TaskPanel:
    """What came of the phrase in the field (None without a legal one), and where its preview goes."""

    tried: TriedPhrase | None
    preview: DeltaGenerator


def draw_task(page: Page, failures: Failures, class_name: str) -> TaskPanel:
    """Draw it, but for the preview: that comes last, when the pictures are there."""
    with st.container(border=True, key="panel-task", gap="xsmall"):
        buttons = _draw_sentence()
        tried = None
        try:
            tried = tried_now(page, failures, class_name, str(st.session_state[PHRASE]))
            with buttons:
                kept = _draw_keep(page, failures, tried)
            if tried is not None:
                _draw_score(tried)
                _draw_after(tried, kept)
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
    """Say what retraining with the phrase would do, and who pays for it."""
    if task.tried is None:
        return
    what = task.tried.description
    try:
        found, _ = page.desk.preview(failures, what)
    except ClarifyError as error:
        task.preview.html(f'<div class="c-box c-preview">{blocks.muted(str(error))}</div>')
        return
    rows = [
        [
            blocks.cell(each.name),
            blocks.percent(each.now),
            f"<b{' class=c-loses' if each.gain < 0 else ''}>{blocks.percent(each.then)}</b>",
        ]
        for each in found
    ]
    pays = who_pays(found)
    said = f'<div class="c-pays">{blocks.cell(pays)}</div>' if pays else ""
    table = blocks.table(["If retrained with it", "now", "then"], rows)
    cut, moved = found[0].cut, found[0].cut != what.threshold
    shown = float(what.shown([cut])[0])
    told = blocks.muted(f"Retraining cuts at {shown:.3f}, where the concept ends.") if moved else ""
    task.preview.html(f'<div class="c-box c-preview">{said}{table}{told}</div>')


def choose(phrase: str) -> None:
    """Put a phrase into the field and run the page again."""
    st.session_state[NEXT] = phrase
    st.rerun()


def _draw_sentence() -> DeltaGenerator:
    """Draw the sentence and the button that tests it; returns where the other buttons go."""
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
    buttons = st.container(horizontal=True, gap="small", key="try")
    buttons.button("Test it", type="primary", shortcut="Ctrl+Enter")
    return buttons


def _draw_keep(page: Page, failures: Failures, tried: TriedPhrase | None) -> DescriptionRun | None:
    """Draw what keeps a phrase, or shows that this visitor keeps it as it is; return the run that does."""
    keeps, undoes = st.empty(), st.empty()
    if tried is None:
        keeps.button(KEEP, shortcut="Alt+K", disabled=True)
        return None
    kept = own_kept(page, failures, tried)
    if not _is_kept(kept, tried) and keeps.button(KEEP, shortcut="Alt+K"):
        keep(page, failures, tried, note=_note(tried))
        kept = own_kept(page, failures, tried)
    if _is_kept(kept, tried):
        keeps.empty()
    if kept is not None and undoes.button("Kept · undo", key=f"undo-{kept.id}", help=_how(kept, tried)):
        undo(page, kept)
        st.rerun()
    return kept


def _is_kept(kept: DescriptionRun | None, tried: TriedPhrase) -> bool:
    """Whether a phrase is kept with this very cut and note."""
    cut = tried.description.threshold
    return kept is not None and kept.threshold == cut and _note(tried) in ("", kept.note)


def _how(kept: DescriptionRun, tried: TriedPhrase) -> str:
    shown = "" if kept.threshold is None else f" at {tried.description.shown([kept.threshold])[0]:.3f}"
    return f"You keep it, cut{shown}. Undo: it stays in the list as one that was tried."


def _note_key(tried: TriedPhrase) -> str:
    return f"note-{tried.description.class_name}-{tried.description.phrase}"


def _note(tried: TriedPhrase) -> str:
    """Return the note that this visitor wrote to a phrase, kept yet or not."""
    return str(st.session_state.get(_note_key(tried), "")).strip()


def _draw_score(tried: TriedPhrase) -> None:
    """Say how well the phrase explains the errors, and how far to trust that; or why nobody can say."""
    score, found = tried.evidence.score, tried.evidence
    sides = (
        f"It puts {100 * score.wrong_on_wrong_side:.0f}% of the wrong images on one side and "
        f"{100 * (1 - score.correct_on_wrong_side):.0f}% of the right ones on the other."
    )
    if tried.caution:
        st.warning(blocks.plain(f"{tried.caution[0].upper()}{tried.caution[1:]}. This score says nothing."))
        said = f"{tried.verdict.capitalize()}. {sides} The number would be {score.value:.2f}."
        st.html(blocks.muted(said))
        return
    st.html(
        f'<div class="c-score"><b class="c-big">{score.value:.2f}</b><div class="c-muted">'
        f"<b>{blocks.cell(tried.verdict.capitalize())}.</b> {sides}</div>"
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


def _draw_after(tried: TriedPhrase, kept: DescriptionRun | None) -> None:
    """Let the visitor write a note, which belongs to the phrase, and say whether one waits to be kept."""
    key, noted = _note_key(tried), "" if kept is None else kept.note
    if key not in st.session_state:
        st.session_state[key] = noted
    waits = _note(tried) not in ("", noted)
    label = "A note waits" if waits else "Your note" if noted else "Add a note"
    with st.container(gap=None, key="after"):
        # Not in what closes by Escape: that would lose what is typed. It stays with its phrase.
        with st.expander(label, key="note", type="compact"):
            st.text_area(
                f"Anything worth remembering of “{blocks.plain(tried.description.phrase)}”",
                max_chars=2000,
                key=key,
                persist_state="session",
            )
        if st.button("See original data", type="tertiary"):
            choose("")
    if waits:
        st.html(blocks.muted(f"A note to it waits for {KEEP}: “{blocks.short(_note(tried), 60)}”"))


def _draw_phrases(page: Page, failures: Failures, class_name: str) -> None:
    """List the phrases that anybody tried, best first, each one click away."""
    listed = phrases_of(page, failures, class_name)
    st.html(blocks.heading(f"Phrases tried for {class_name}"))
    if not listed:
        st.html(blocks.muted("None yet. Look at the wrong images: what do they have in common?"))
        return
    rows = [(each.phrase, each.by, None if each.caution else each.score, each.kept) for each in listed]
    chosen = phrase_rows(rows, key="phrases")
    if chosen is not None and listed[chosen].phrase != st.session_state[PHRASE]:
        choose(listed[chosen].phrase)


def _draw_suggestions(page: Page, failures: Failures, class_name: str) -> None:
    """Show the machine's phrases, once the person has tried one of their own."""
    if not wants_suggestions(page, failures, class_name):
        return
    st.html(blocks.heading("The machine suggests"))
    if page.project.caution:
        st.html(blocks.muted(f"{page.project.caution[0].upper()}{page.project.caution[1:]}."))
    draw = _draw_found
    if suggestions(page, failures, class_name) is None:  # by itself: a picture that is open stays open
        draw = st.fragment(draw, run_every=2.0)
    draw(page, failures, class_name)


def _draw_found(page: Page, failures: Failures, class_name: str) -> None:
    """Show what the machine has found so far, to be chosen from."""
    found = suggestions(page, failures, class_name)
    if found is None:
        st.html(blocks.muted("It is still searching its vocabulary."))
    elif isinstance(found, str):
        st.html(blocks.muted(found))
    elif not found:
        st.html(blocks.muted("Nothing that holds on images it was not fitted to."))
    else:
        st.html(blocks.muted("With the points that the mean of the classes gains, once retrained with it."))
        chosen = phrase_chips(found, key="suggestions")
        if chosen is not None and found[chosen][0] != st.session_state[PHRASE]:
            choose(found[chosen][0])
