"""The right side of the Describe page: the two halves, and how similarity is spread over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from clarify.ui.describe.cuts import cut_key
from clarify.ui.pieces import blocks, charts
from clarify.ui.pieces.gallery import Picture, gallery
from clarify.ui.pieces.page import Page

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clarify.workflow.describe.phrases import TriedPhrase
    from clarify.workflow.model.failures import Failures

__all__ = ["draw_halves", "draw_spread", "look_at"]

SHOWN = 70
"""Pictures on a page of a half: seven rows of ten where there is room."""


def draw_halves(page: Page, failures: Failures, rows: NDArray[np.int64], tried: TriedPhrase | None) -> None:
    """Draw the two halves of a class: right and wrong, or without and with the phrase."""
    if tried is None:
        right = failures.right[rows]
        halves = [("left", "right", right), ("right", "wrong", ~right)]
    else:
        rows = tried.rows
        phrase, having = tried.description.phrase, tried.with_half
        halves = [("left", f"without {phrase}", ~having), ("right", f"with {phrase}", having)]
    for column, (side, title, mask) in zip(st.columns(2, gap="medium"), halves, strict=True):
        with column:
            _draw_half(page, failures, rows[mask], title, side)


def _draw_half(page: Page, failures: Failures, rows: NDArray[np.int64], title: str, side: str) -> None:
    """Draw one half: its name, its share right, its pictures, and a pager."""
    share = float(failures.right[rows].mean()) if len(rows) else None
    st.html(blocks.half(title, f"{len(rows):,} images", share))
    pages = max(1, -(-len(rows) // SHOWN))
    at = min(int(st.session_state.get(f"page-{side}", 0)), pages - 1)
    # The order is drawn once, so that a page holds a fair sample and pages do not overlap.
    order = np.random.default_rng(0).permutation(len(rows))[at * SHOWN : (at + 1) * SHOWN]
    shown = rows[np.sort(order)]
    look_at(page, failures, shown, key=f"gallery-{side}", none="No image falls on this side.")
    if pages > 1:
        _draw_pager(side, at, pages, len(rows))


def _draw_pager(side: str, at: int, pages: int, count: int) -> None:
    keys = {"left": ("Shift+Left", "Shift+Right"), "right": ("Left", "Right")}[side]
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        first, last = at * SHOWN + 1, min(count, (at + 1) * SHOWN)
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


def look_at(page: Page, failures: Failures, rows: NDArray[np.int64], *, key: str, none: str) -> None:
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
    opened = gallery(pictures, key=key, none=none)
    if opened is not None:
        _open(page, failures, int(rows[opened]))


@st.dialog("Image", width="large")
def _open(page: Page, failures: Failures, row: int) -> None:
    """Show one image whole: where it lies, what the model says, its attributes."""
    data = failures.data
    address = page.picture(int(data.table_rows[row]), "whole")
    st.html(f'<img src="{address}" alt="" class="c-whole">')
    likely = failures.likeliest(row)
    facts = {
        "Image": str(data.ids[row]),
        "File": str(data.path(row)),
        "Labelled": _class(page, data.labels[row]),
        "Taken for": _class(page, failures.predicted[row]),
        **{f"Chance of {_class(page, k)}": blocks.percent(value) for k, value in likely},
        **{name: str(values[row]) for name, values in data.attributes.items()},
    }
    (captions,) = data.captions_of(np.array([row]))
    told = [*facts.items(), *(("Caption", text) for text in captions)]
    cells = [[blocks.cell(name), blocks.cell(value)] for name, value in told]
    st.html(blocks.table(["", ""], cells))


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
    look_at(page, failures, np.array(chosen[:SHOWN]), key="gallery-chosen", none="")
