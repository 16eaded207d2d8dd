"""Where a visitor cut a phrase: by the slider, by a click into the chart, by an address, or kept before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from clarify.errors import InputError, shown
from clarify.ui.pieces.charts import cut_range
from clarify.ui.pieces.page import refuse

if TYPE_CHECKING:
    from clarify.track.runs import DescriptionRun
    from clarify.workflow.describe.phrases import TriedPhrase

__all__ = ["ASKED", "cut_key", "cut_now", "shown_text"]

ASKED = "cut asked for"
"""In the session: the cut that an address names, until its phrase was tried; empty for none."""


def cut_key(tried: TriedPhrase) -> str:
    """Return under which name the session keeps where a phrase was cut, as people see it."""
    return f"cut-{tried.description.class_name}-{tried.description.phrase}"


def shown_text(tried: TriedPhrase | None) -> str:
    """Return a phrase's cut as an address names it; empty without a phrase."""
    return "" if tried is None else _text(tried.description.shown_cut)


def cut_now(tried: TriedPhrase, kept: DescriptionRun | None) -> float:
    """Return the threshold in force: where it was moved to, else where this visitor kept it, else the best.

    Parameters
    ----------
    tried : TriedPhrase
        Cut at its best.
    """
    what, key, state = tried.description, cut_key(tried), st.session_state
    _take_asked(tried, key)
    known = [what.threshold] if kept is None or kept.threshold is None else [kept.threshold, what.threshold]
    # The slider puts the cut that it is given into the session by itself, which is nobody's choice.
    for cut in known:
        if key not in state or _text(state[key]) == _text(float(what.shown([cut])[0])):
            return cut
    low, high = float(tried.scores.min()), np.nextafter(tried.scores.max(), -np.inf)
    return float(np.clip(what.cut_of(float(_text(state[key]))), low, high))


def _take_asked(tried: TriedPhrase, key: str) -> None:
    """Move the cut to where an address has it, once; one that is not legal is refused in one sentence."""
    asked = st.session_state.pop(ASKED, None)
    if asked is None:
        return
    st.session_state.pop(key, None)
    low, high = cut_range(tried)
    try:
        cut = float(asked or "nan")
    except ValueError:
        cut = float("inf")
    if low <= cut <= high or _text(cut) in (_text(low), _text(high)):
        st.session_state[key] = min(max(cut, low), high)
    elif asked:
        refuse(
            InputError(
                f"the address cuts {tried.description.phrase!r} at {shown(asked)}; its images lie from "
                f"{low:.3f} to {high:.3f}, so it is cut where it explains most"
            )
        )


def _text(cut: float) -> str:
    """Return a cut in so few digits that people can send it; all that is shown is of the cut so written."""
    return f"{cut:.6g}"
