"""The right side of the Describe page: the two halves, and how similarity is spread over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from clarify.ui.describe.cuts import cut_key
from clarify.ui.describe.grid import Arrangement, choose
from clarify.ui.pieces import blocks, charts
from clarify.ui.pieces.gallery import Picture, gallery
from clarify.ui.pieces.page import Page

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clarify.workflow.describe.phrases import TriedPhrase
    from clarify.workflow.model.failures import Failures

__all__ = ["draw_halves", "draw_spread", "look_at"]

MOST_CHOSEN = 70
"""Pictures shown of what was drawn around."""

OPENED = "opened"
"""In the session: the number of the picture that is open, among those of its grid."""


def draw_halves(page: Page, failures: Failures, rows: NDArray[np.int64], tried: TriedPhrase | None) -> None:
    """Draw the two halves of a class: right and wrong, or without and with the phrase."""
    if tried is None:
        right = failures.right[rows]
        halves = [("left", "right", right), ("right", "wrong", ~right)]
    else:
        rows = tried.rows
        phrase, having = tried.description.phrase, tried.with_half
        halves = [("left", f"without {phrase}", ~having), ("right", f"with {phrase}", having)]
    arranged = choose(page, failures, rows, tried)
    for column, (side, title, mask) in zip(st.columns(2, gap="medium"), halves, strict=True):
        with column:
            half = rows[mask]
            share = float(failures.right[half].mean()) if len(half) else None
            st.html(blocks.half(title, f"{len(half):,} images", share))
            _draw_pictures(page, failures, arranged, half, tried, side)


def _draw_pictures(
    page: Page,
    failures: Failures,
    arranged: Arrangement,
    half: NDArray[np.int64],
    tried: TriedPhrase | None,
    side: str,
) -> None:
    """Draw a page of a half's pictures as they are arranged, and a pager."""
    rows = arranged.of(failures, half, tried)
    pages = max(1, -(-len(rows) // arranged.shown))
    at = min(int(st.session_state.get(f"page-{side}", 0)), pages - 1)
    shown = rows[at * arranged.shown : (at + 1) * arranged.shown]
    none = "No image falls on this side." if not len(half) else "None of this side is taken for it."
    look_at(page, failures, shown, tried, key=f"gallery-{side}", none=none, side=arranged.side)
    if pages > 1:
        _draw_pager(side, at, pages, arranged.shown, len(rows))


def _draw_pager(side: str, at: int, pages: int, shown: int, count: int) -> None:
    keys = {"left": ("Shift+Left", "Shift+Right"), "right": ("Left", "Right")}[side]
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        first, last = at * shown + 1, min(count, (at + 1) * shown)
        st.html(blocks.muted(f"{first:,} to {last:,} of {count:,}"))
        with st.container(horizontal=True, width="content", gap="small"):
            for text, step, shortcut in (("‹", -1, keys[0]), ("›", 1, keys[1])):
                st.button(
                    text,
                    key=f"pager-{side}-{text}",
                    type="tertiary",
                    shortcut=shortcut,
                    disabled=not 0 <= at + step < pages,
                    on_click=_turn,
                    args=(side, at + step),
                )


def _turn(side: str, at: int) -> None:
    st.session_state[f"page-{side}"] = at


def look_at(
    page: Page,
    failures: Failures,
    rows: NDArray[np.int64],
    tried: TriedPhrase | None,
    *,
    key: str,
    none: str,
    side: int,
) -> None:
    """Draw pictures of a split's rows; a click opens one with all that is known of it."""
    data = failures.data
    pictures = [
        Picture(
            address=page.picture(int(data.table_rows[row])),
            name=f"{data.ids[row]}, taken for {_class(page, failures.predicted[row])}",
            wrong=not failures.right[row],
            caption=next(iter(texts), ""),
        )
        for row, texts in zip(rows, data.captions_of(rows), strict=True)
    ]
    opened = gallery(pictures, key=key, none=none, side=side)
    if opened is not None:
        st.session_state[OPENED] = opened
        _open(page, failures, rows, tried)


@st.dialog("Image", width="large")
def _open(page: Page, failures: Failures, rows: NDArray[np.int64], tried: TriedPhrase | None) -> None:
    """Show one image of a grid whole: where it lies, what the phrase and the model say, its attributes."""
    at = min(int(st.session_state[OPENED]), len(rows) - 1)
    row, data = int(rows[at]), failures.data
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.html(blocks.muted(f"{at + 1:,} of {len(rows):,} in this grid"))
        with st.container(horizontal=True, width="content", gap="small"):
            for text, step, shortcut in (("Previous", -1, "P"), ("Next", 1, "N")):
                st.button(
                    text,
                    type="tertiary",
                    shortcut=shortcut,
                    disabled=not 0 <= at + step < len(rows),
                    on_click=_look_on,
                    args=(at + step,),
                )
    address = page.picture(int(data.table_rows[row]), "whole")
    st.html(f'<img src="{address}" alt="" class="c-whole">')
    likely = failures.likeliest(row)
    facts = {
        "Image": str(data.ids[row]),
        "File": str(data.files[row]),
        **_said(tried, row),
        "Labelled": _class(page, data.labels[row]),
        "Taken for": _class(page, failures.predicted[row]),
        **{f"Chance of {_class(page, k)}": blocks.percent(value) for k, value in likely},
        **{name: str(values[row]) for name, values in data.attributes.items()},
    }
    (captions,) = data.captions_of(np.array([row]))
    told = [*facts.items(), *(("Caption", text) for text in captions)]
    cells = [[blocks.cell(name), blocks.cell(value)] for name, value in told]
    st.html(blocks.table(["", ""], cells))


def _look_on(at: int) -> None:
    st.session_state[OPENED] = at


def _said(tried: TriedPhrase | None, row: int) -> dict[str, str]:
    """Return how much an image is like the phrase, and on which side of the cut it is."""
    if tried is None:
        return {}
    where = np.flatnonzero(tried.rows == row)
    if not len(where):
        return {}
    score, phrase = tried.scores[where], tried.description.phrase
    side = "with" if tried.description.with_half(score)[0] else "without"
    return {"Similarity": f"{tried.description.shown(score)[0]:.3f}", "Side": f"{side} {phrase}"}


def _class(page: Page, number: int) -> str:
    return page.desk.project.manifest.classes[int(number)]


def draw_spread(page: Page, failures: Failures, tried: TriedPhrase) -> None:
    """Draw the similarities of right and wrong images; a slider, or a click, moves the cut."""
    what = tried.description
    fits = "fits" if tried.captions_told else "looks like"
    asked = f"How much each {what.class_name} {fits} “{what.phrase}”"
    st.html(blocks.heading(f"{asked}, by whether the model was right"))
    spread, confident = st.tabs(["Similarity", "Similarity and confidence"])
    with spread:
        _draw_similarities(tried)
    with confident:
        _draw_confidence(page, failures, tried)


def _draw_similarities(tried: TriedPhrase) -> None:
    key, state, (low, high) = cut_key(tried), st.session_state, charts.cut_range(tried)
    figure = charts.similarities(tried, dark=st.context.theme.type == "dark")
    with st.container(key="spread", gap=None):  # the slider is the chart's axis: its handle stands on it
        shown = st.plotly_chart(
            figure,
            key=f"chart-{key}",
            on_select="rerun",
            selection_mode="points",
            config={"displayModeBar": False},
        )
        points = shown.selection.points if shown else []
        clicked = float(points[0]["x"]) if points else None
        if clicked is not None and state.get(f"clicked-{key}") != clicked:
            state[f"clicked-{key}"] = clicked
            state[key] = min(max(clicked, low), high)
            st.rerun()
        if high <= low:
            return
        now = state.get(key, tried.description.shown_cut)
        if key not in state or not low <= now <= high:  # set at each run, it would fall back under the hand
            state[key] = min(max(now, low), high)
        st.slider(
            "Threshold",
            low,
            high,
            key=key,
            step=(high - low) / 500,
            format="%.3f",
            label_visibility="collapsed",
            persist_state="session",  # it stays while another phrase is looked at
        )


def _draw_confidence(page: Page, failures: Failures, tried: TriedPhrase) -> None:
    confidence = failures.confidence(tried.rows)
    if confidence is None:
        st.html(blocks.muted("The model's probabilities were not imported with its predictions."))
        return
    figure, rows = charts.confidence(tried, confidence)
    shown = st.plotly_chart(
        figure,
        key=f"confidence-{cut_key(tried)}",
        on_select="rerun",
        selection_mode=("lasso", "box"),
        config={"displaylogo": False},
    )
    points = shown.selection.points if shown else []
    chosen = [int(rows[point["curve_number"]][point["point_index"]]) for point in points]
    if not chosen:
        st.html(blocks.muted("Draw around some points to look at their images."))
        return
    looked_at = np.array(chosen[:MOST_CHOSEN])
    look_at(page, failures, looked_at, tried, key="gallery-chosen", none="", side=48)
