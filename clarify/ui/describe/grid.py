"""Which pictures of the halves are shown, in which order, and how large; alike for both halves."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clarify.ui.pieces.page import Page
    from clarify.workflow.describe.phrases import TriedPhrase
    from clarify.workflow.model.failures import Failures

__all__ = ["Arrangement", "choose"]

SAMPLE, LIKE, NEAR, SURE, UNSURE = (
    "a fair sample",
    "most like the phrase first",
    "nearest to the cut first",
    "surest first",
    "least sure first",
)
SIZES = {"Small": (48, 70), "Medium": (84, 35), "Large": (150, 12)}
"""Pixels that a picture takes at least, and how many are on a page of a half."""

ORDER, TAKEN, SIZE, SEED = "order", "taken-for", "size", "sample"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """What a visitor chose.

    Parameters
    ----------
    order : str
    taken : int or None
        Only the images that are taken for this class.
    side, shown : int
        Pixels that a picture takes at least, and how many are on a page.
    seed : int
        Of the sample.
    """

    order: str = SAMPLE
    taken: int | None = None
    side: int = SIZES["Small"][0]
    shown: int = SIZES["Small"][1]
    seed: int = 0

    def of(self, failures: Failures, rows: NDArray[np.int64], tried: TriedPhrase | None) -> NDArray[np.int64]:
        """Return the rows (M,) that are shown of those of a half (N,), in the order of the pages.

        A sample is drawn once, so that each page holds a fair part of the half and no two share an image.
        """
        if self.taken is not None:
            rows = rows[failures.predicted[rows] == self.taken]
        if self.order == SAMPLE:
            return rows[np.random.default_rng(self.seed).permutation(len(rows))]
        return rows[np.argsort(self._last(failures, rows, tried), kind="stable")]

    def _last(
        self, failures: Failures, rows: NDArray[np.int64], tried: TriedPhrase | None
    ) -> NDArray[np.float64]:
        """Return by what rows are sorted, the least first."""
        if self.order in (SURE, UNSURE):
            confidence = failures.confidence(rows)
            assert confidence is not None  # or it is not offered
            return -confidence if self.order == SURE else confidence
        assert tried is not None
        scores = tried.scores[np.searchsorted(tried.rows, rows)]
        return -scores if self.order == LIKE else np.abs(scores - tried.description.threshold)


def choose(page: Page, failures: Failures, rows: NDArray[np.int64], tried: TriedPhrase | None) -> Arrangement:
    """Draw what chooses it for a class's rows, behind a button that says what was chosen; return that."""
    orders = [SAMPLE, *([LIKE, NEAR] if tried is not None else [])]
    orders += [] if failures.model.head is None else [SURE, UNSURE]
    state, classes = st.session_state, page.desk.project.manifest.classes
    counts = np.bincount(failures.predicted[rows])
    taken_for = {classes[k]: int(counts[k]) for k in np.argsort(-counts, kind="stable") if counts[k]}
    if state.get(ORDER) not in orders:
        state[ORDER] = SAMPLE
    if state.get(TAKEN) not in taken_for:
        state[TAKEN] = ""
    told = f"Pictures: {state[ORDER]}" + (f", taken for {state[TAKEN]}" if state[TAKEN] else "")
    with st.popover(told, type="tertiary", width="content", key="arranged"):
        st.radio("Order", orders, key=ORDER, on_change=_from_the_first)
        if state[ORDER] == SAMPLE:
            st.button("Draw another sample", key="draw-another", on_click=_draw_another)
        st.selectbox(
            "Taken for",
            ["", *taken_for],
            key=TAKEN,
            format_func=lambda name: f"{name or 'any class'} · {taken_for.get(name, len(rows)):,}",
            on_change=_from_the_first,
        )
        size = st.segmented_control(
            "Size", list(SIZES), key=SIZE, default="Small", required=True, on_change=_from_the_first
        )
    side, shown = SIZES[size or "Small"]
    taken = classes.index(state[TAKEN]) if state[TAKEN] else None
    return Arrangement(order=state[ORDER], taken=taken, side=side, shown=shown, seed=int(state.get(SEED, 0)))


def _from_the_first() -> None:
    """Turn both halves to their first pages."""
    for side in ("left", "right"):
        st.session_state.pop(f"page-{side}", None)


def _draw_another() -> None:
    st.session_state[SEED] = int(st.session_state.get(SEED, 0)) + 1
    _from_the_first()
