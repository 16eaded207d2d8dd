"""Two minutes with coloured squares: what is missed, why, and what saying so changes."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from clarify.errors import ClarifyError
from clarify.method.phrases.error_score import band
from clarify.ui.pieces import blocks
from clarify.ui.pieces.page import NEW_HERE, PAGES, Page, current, refuse, stop_with
from clarify.ui.server.lesson import forget_lesson, lesson
from clarify.ui.tutorial.lesson import draw_grid, wait_for_lesson
from clarify.workflow.describe.phrases import TriedPhrase
from clarify.workflow.shows.tutorial import CLASS, PHRASE, Lesson, corrected, practise

STEP, SAID = "step", "phrase"
"""In the address, so that a reload goes on where one was; the phrase is also the field's."""

FIELD = "tutorial-phrase"
WEAK = 0.4


def draw(page: Page) -> None:
    """Draw the step that the visitor is at."""
    st.session_state.pop(NEW_HERE, None)
    step = {"2": 2, "3": 3}.get(st.query_params.get(STEP, ""), 1)
    st.html(blocks.title("How a mistake is put into words", f"step {step} of 3", crumb="Tutorial"))
    work = lesson(page.shared)
    if not work.future.done():
        wait_for_lesson(work)
        draw_ways(None)
        return
    try:
        ready = work.future.result()
    except ClarifyError as error:
        forget_lesson(page.shared)
        stop_with(error)
    {1: draw_failure, 2: draw_phrase, 3: draw_corrected}[step](ready)


def draw_ways(onward: str | None, *, again: bool = False) -> bool:
    """Draw the buttons; the way out is always there. Returns whether to go on."""
    with st.container(horizontal=True, vertical_alignment="center"):
        goes_on = onward is not None and st.button(onward, type="primary")
        if again and st.button("Start again", type="tertiary"):
            st.session_state.pop(FIELD, None)
            st.query_params.pop(SAID, None)
            go_to(1)
        if st.button("Skip", type="tertiary"):
            leave()
    return goes_on


def go_to(step: int) -> None:
    """Draw another step."""
    st.query_params[STEP] = str(step)
    st.rerun()


def leave() -> None:
    """Go to the data set's own classes; another time begins at the first step."""
    st.session_state.pop(FIELD, None)
    st.query_params.clear()
    st.switch_page(st.Page(PAGES / "classes.py", default=True))


def draw_sentence(text: str) -> None:
    """Draw what a step is about."""
    st.html(f'<div class="c-sentence">{blocks.cell(text)}</div>')


def draw_failure(ready: Lesson) -> None:
    """Step 1: look at what is missed."""
    draw_sentence(
        "A model tells squares from ellipses, and misses the squares on the right side: "
        "what do they have in common?"
    )
    if draw_ways("I have an idea"):
        go_to(2)
    draw_squares(ready)


def draw_squares(ready: Lesson) -> None:
    """Draw the squares that the model knows, and those that it misses."""
    rows = ready.failures.explored(ready.project.manifest.class_index(CLASS))
    right = ready.failures.right[rows]
    draw_two(
        lambda: draw_grid(ready, ready.failures, rows[right], "squares it knows", "known"),
        lambda: draw_grid(ready, ready.failures, rows[~right], "squares it misses", "missed"),
    )


def draw_phrase(ready: Lesson) -> None:
    """Step 2: say it, and see how well that explains the mistakes."""
    draw_sentence("Say it in a word or a few: the model is often wrong with squares that are")
    st.session_state.setdefault(FIELD, st.query_params.get(SAID, ""))
    text = st.text_input(
        "What the squares are",
        key=FIELD,
        label_visibility="collapsed",
        width=320,
        max_chars=100,
        placeholder="a word or a few",
        autocomplete="off",
        persist_state="session",
    )
    tried = said(ready, text)
    if tried is None:
        draw_ways("Test it")
        draw_squares(ready)
        return
    st.query_params[SAID] = tried.description.phrase
    value = tried.evidence.score.value
    hint = "" if value >= WEAK else f" Look at their colour: is it “{PHRASE}”?"
    st.html(
        f'<div class="c-score"><b class="c-big">{value:.2f}</b><div class="c-muted"><b>'
        f"{blocks.cell(band(value).capitalize())}.</b> The error score is 0 for a phrase that "
        f"explains nothing and 1 for one that explains every mistake.{hint}</div></div>"
    )
    if draw_ways("Retrain with it"):
        go_to(3)
    having, what = tried.with_half, tried.description.phrase
    draw_two(
        lambda: draw_grid(ready, ready.failures, tried.rows[~having], f"without {what}", "without"),
        lambda: draw_grid(ready, ready.failures, tried.rows[having], f"with {what}", "with"),
    )


def said(ready: Lesson, text: str | None) -> TriedPhrase | None:
    """Return what came of the phrase in the field; None without one, or for one that is refused."""
    if not (text or "").strip():
        return None
    try:
        return practise(ready, str(text))
    except ClarifyError as error:
        refuse(error)
        return None


def draw_corrected(ready: Lesson) -> None:
    """Step 3: the same squares, by the model that was retrained with the phrase."""
    try:
        tried = practise(ready, st.query_params.get(SAID) or PHRASE)
        now = corrected(ready, tried)
    except ClarifyError as error:
        refuse(error)
        draw_ways(None, again=True)
        return
    worse = tried.rows[tried.with_half == tried.description.wrong_is_above]
    side = "with" if tried.description.wrong_is_above else "without"
    what = f"squares {side} {tried.description.phrase}"
    before, after = (int((~each.right[worse]).sum()) for each in (ready.failures, now))
    draw_sentence(
        f"Retrained so that both sides count alike, the model misses {after} of "
        f"{len(worse)} {what}; before it was {before}."
    )
    if draw_ways("Now your own images", again=True):
        leave()
    draw_two(
        lambda: draw_grid(ready, ready.failures, worse, f"{what}, before", "before"),
        lambda: draw_grid(ready, now, worse, f"{what}, now", "now"),
    )
    shares = [blocks.percent(float(each.right.mean())) for each in (ready.failures, now)]
    st.html(
        blocks.muted(
            f"All squares and ellipses: {shares[0]} right before, {shares[1]} now. "
            "Nothing of this was recorded."
        )
    )


def draw_two(left: Callable[[], None], right: Callable[[], None]) -> None:
    """Draw two grids side by side."""
    with st.container(border=True, key="panel-tutorial"):
        for column, grid in zip(st.columns(2, gap="medium"), (left, right), strict=True):
            with column:
                grid()


draw(current())
