"""What every page begins with: who is there, which data set, and the frame around it."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import NoReturn

import streamlit as st

from clarify.errors import ClarifyError, InputError, NotFoundError, nearest, shown
from clarify.ui.pieces import blocks
from clarify.ui.server.desk import Desk
from clarify.ui.server.shared import Shared, shared
from clarify.ui.server.visitors import COOKIE, Visitor, check_name, logged_in_as, visitor
from clarify.workflow.model.project import Workspace

__all__ = ["DATA", "NEW_HERE", "PAGES", "Page", "apologise", "current", "refuse", "stop_with"]

INSTALLED = Path(__file__).resolve().parents[2] / "dashboard_files"
PAGES = (INSTALLED if INSTALLED.is_dir() else INSTALLED.parents[1]) / "pages"
NAME, DATA = "reviewer", "data"
FEW = 3
WELCOME = (
    '<div class="c-welcome" role="img" aria-label="Of six red pictures five are wrong, of six others one.">'
    + "".join(
        f"<div>{''.join(f'<i{mark}></i>' for mark in marks)}<span>{said}</span></div>"
        for said, marks in (
            ("without red", [""] * 5 + [' class="wrong"']),
            ("with red", [' class="red wrong"'] * 5 + [' class="red"']),
        )
    )
    + "</div><p>A model is wrong more often with some pictures than with others. You look at them and say "
    "in a word or a few what the wrong ones have in common. Clarify measures how well that explains the "
    "mistakes, and retrains the model with what your team kept.</p>"
)
"""What this is, in three sentences and a picture; everything in it is ours."""

NEW_HERE = "new_here"
"""In the session of somebody who just gave a name for the first time."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page works with.

    Parameters
    ----------
    desk : Desk
        Of the data set that is looked at.
    """

    shared: Shared
    visitor: Visitor
    desk: Desk

    @property
    def project(self) -> Workspace:
        """Return the data set's adapters, with the visitor as reviewer."""
        return dataclasses.replace(self.desk.project, reviewer=self.visitor.name)

    def picture(self, row: int, size: str = "small") -> str:
        """Return the address of the picture in a row of the data set's table."""
        return self.shared.addresses.of(self.desk.project.manifest.name, row, size)


def current() -> Page:
    """Let the visitor in and open the data set; a page that cannot be shown ends here."""
    try:
        found = shared()
        who = visitor(_name(found), found.settings.leads)
        return Page(shared=found, visitor=who, desk=_desk(found))
    except ClarifyError as error:
        stop_with(error)


def stop_with(error: ClarifyError) -> NoReturn:
    """Say in one sentence why the page cannot be shown, and end it."""
    what, _, next_step = str(error).partition("; ")
    st.html(blocks.empty(what, next_step))
    st.stop()


def apologise(error: Exception) -> None:
    """Say that the page met a fault in the program, and tell the log which."""
    logging.getLogger(__name__).error("a page could not be drawn", exc_info=error)
    what = f"This page met a fault in the program ({type(error).__name__})."
    st.html(
        blocks.empty(what, "Nothing that was kept is lost. Load the page again; the server's log says more.")
    )


def refuse(error: ClarifyError) -> None:
    """Say in one sentence why something was not done; the page goes on."""
    st.error(blocks.plain(str(error)), icon=None)


def _name(found: Shared) -> str:
    """Return who is there; asks, and ends the page, where nobody knows."""
    if st.secrets.load_if_toml_exists() and "auth" in st.secrets:
        if not st.user.is_logged_in:
            st.html(blocks.empty("Clarify", "Log in to look at this team's models."))
            st.button("Log in", type="primary", on_click=st.login)
            st.stop()
        return logged_in_as(st.user.to_dict(), found.settings.trusted_issuer)
    if NAME not in st.session_state:
        known = found.name_tags.read(st.context.cookies.get(COOKIE, ""))
        if known is None:
            _ask_for_name(found)
        else:
            st.session_state[NAME] = known
    name = str(st.session_state[NAME])
    if st.session_state.pop("remember", False):
        st.html(f'<img src="{found.name_tags.address(name)}" alt="" hidden>')
    return name


def _ask_for_name(found: Shared) -> NoReturn:
    with st.container(horizontal_alignment="center"), st.form("who", width=420):
        st.html(f"{blocks.title('Welcome to Clarify', '')}{WELCOME}")
        st.html(blocks.muted(f"Here: {_titles(found)}.") + blocks.heading("What is your name?"))
        text = st.text_input(
            "Your name", max_chars=100, label_visibility="collapsed", placeholder="Ada Lovelace"
        )
        if st.form_submit_button("Begin", type="primary"):
            try:
                st.session_state[NAME] = check_name(text)
                st.session_state["remember"] = True
                st.session_state[NEW_HERE] = True
                st.rerun()
            except InputError:
                st.caption("A name of 1 to 100 characters, please.")
    st.stop()


def _titles(found: Shared) -> str:
    """Return what the data sets are called that are looked at here."""
    names = found.desks.names()
    titles = [found.desks.manifest(name).title for name in names[:FEW]]
    more = [f"{len(names) - FEW:,} more"] if len(names) > FEW else []
    return ", ".join(titles + more) or "no data set yet"


def _desk(found: Shared) -> Desk:
    names = found.desks.names()
    if not names:
        raise InputError(
            "There is no data set yet; import one: clarify data import folder PATH --name NAME, "
            "or run: clarify demo"
        )
    before = st.session_state.get(DATA)
    name = str(st.query_params.get(DATA) or (before if before in names else names[0]))
    if name not in names:
        raise NotFoundError(f"There is no data set {shown(name)}; {nearest(name, names)}")
    st.session_state[DATA] = name
    return found.desks.desk(name)
