"""Grids of pictures that can be looked at closely: one component, mounted for each grid."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Picture", "gallery"]

ASSETS = Path(__file__).parents[1] / "assets"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture of a grid.

    Parameters
    ----------
    address : str
        Of its thumbnail.
    name : str
        Shown on hover, as text.
    wrong : bool
        Framed, and with a folded corner.
    """

    address: str
    name: str
    wrong: bool


def gallery(pictures: Sequence[Picture], *, key: str, none: str, side: int = 48) -> int | None:
    """Draw a grid; return the number of the picture that was just clicked, else None.

    Parameters
    ----------
    key : str
        Of the widget, unique on the page.
    none : str
        What to say where there are no pictures.
    side : int
        Pixels that a picture takes at least.
    """
    data = {
        "pictures": [{"src": each.address, "name": each.name, "wrong": each.wrong} for each in pictures],
        "none": none,
        "side": side,
    }
    answered = _component()(key=key, data=data, on_opened_change=_nothing)
    opened = answered.opened
    return int(opened) if opened is not None and 0 <= int(opened) < len(pictures) else None


def _nothing() -> None:
    """Do nothing more than run the page again."""


@functools.cache
def _component() -> Callable[..., Any]:
    import streamlit as st

    return st.components.v2.component(
        "clarify_gallery",
        html='<div class="grid"></div>',
        css=(ASSETS / "gallery.css").read_text(encoding="utf-8"),
        js=(ASSETS / "gallery.js").read_text(encoding="utf-8"),
    )
