"""What is looked at stands in the address: back, reload and a link to a colleague bring the very view."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import streamlit as st

from clarify.ui.classes.promises import promised
from clarify.ui.classes.rows import in_order, overview
from clarify.ui.describe.cuts import ASKED, cut_key, shown_text
from clarify.ui.pieces.page import DATA, Page

if TYPE_CHECKING:
    from clarify.workflow.describe.phrases import TriedPhrase
    from clarify.workflow.model.failures import Failures

__all__ = ["PHRASE", "follow", "write"]

CLASS, PHRASE, CUT = "class", "phrase", "cut"
VIEW, LEFT, SEEN = "view", "views left", "field and slider"
SETTLES_S = 1.0
"""What a browser asks for while its address is being changed still names the view before."""

View = dict[str, str]
"""Class, phrase and cut, as far as an address names them."""


def follow(page: Page, failures: Failures) -> str:
    """Go where the address leads: put its phrase and its cut into their places, and return its class.

    Without a class it is the one that was looked at last, or the most promising one.

    Raises
    ------
    NotFoundError
        If there is no such class.
    """
    state, asked = st.session_state, _addressed()
    left = time.monotonic() - state.get(LEFT, {}).get(str(asked), float("-inf"))
    if left < SETTLES_S or _acted():
        asked = state[VIEW]
    name = asked.get(CLASS) or _at_first(page, failures)
    page.project.manifest.class_index(name)
    if state.get(CLASS) != name:
        for key in (PHRASE, "page-left", "page-right"):
            state.pop(key, None)
    if asked != state.get(VIEW) or PHRASE not in state:
        state[PHRASE], state[ASKED] = asked.get(PHRASE, ""), asked.get(CUT, "")
    state[CLASS], state[VIEW] = name, asked
    return name


def write(page: Page, class_name: str, tried: TriedPhrase | None) -> None:
    """Have the address name what is looked at; one that names nothing is left so at the first view."""
    state = st.session_state
    state[SEEN] = {PHRASE: state[PHRASE]}
    if tried is not None:
        state[SEEN][cut_key(tried)] = state.get(cut_key(tried), tried.description.shown_cut)
    named = {CLASS: class_name, PHRASE: " ".join(str(state[PHRASE]).split()), CUT: shown_text(tried)}
    view = {key: value for key, value in named.items() if value}
    before: View = state[VIEW]
    if view == before or (not before and list(view) == [CLASS]):
        return
    st.query_params.from_dict({DATA: page.project.manifest.name, **view})
    state.setdefault(LEFT, {})[str(before)] = time.monotonic()
    state[VIEW] = view


def _acted() -> bool:
    """Whether field or slider were used since: then they count, and the browser's address is behind."""
    state = st.session_state
    return any(state.get(key, value) != value for key, value in state.get(SEEN, {}).items())


def _addressed() -> View:
    found = {key: str(st.query_params.get(key, "")) for key in (CLASS, PHRASE, CUT)}
    return {key: value for key, value in found.items() if value}


def _at_first(page: Page, failures: Failures) -> str:
    """Return the class that was looked at last, else the one where a description would pay most."""
    classes = page.project.manifest.classes
    last = str(st.session_state.get(CLASS, ""))
    if last in classes:
        return last
    known = promised(page, failures).by_class
    return classes[int(in_order(overview(classes, failures), "promise", known)[0])]
