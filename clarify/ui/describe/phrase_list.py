"""Phrases to choose from, as rows with their scores or as chips: one component."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from clarify.ui.pieces.blocks import score

__all__ = ["phrase_chips", "phrase_rows"]

ASSETS = Path(__file__).parents[1] / "assets"


def phrase_rows(phrases: Sequence[tuple[str, str, float, bool]], *, key: str) -> int | None:
    """Draw phrases, best first; return the number of the one that was just clicked, else None.

    Parameters
    ----------
    phrases : sequence of (phrase, by whom, error score, kept)
    key : str
        Of the widget, unique on the page.
    """
    rows = [
        {
            "phrase": phrase,
            "by": by,
            "score": score(value),
            "share": max(0.0, min(1.0, value)),
            "best": number == 0,
            "kept": kept,
        }
        for number, (phrase, by, value, kept) in enumerate(phrases)
    ]
    return _draw(rows, key=key, chips=False)


def phrase_chips(phrases: Sequence[tuple[str, float]], *, key: str) -> int | None:
    """Draw phrases as chips, each with its score; returns as `phrase_rows`."""
    rows = [{"phrase": phrase, "score": score(value)} for phrase, value in phrases]
    return _draw(rows, key=key, chips=True)


def _draw(rows: list[dict[str, Any]], *, key: str, chips: bool) -> int | None:
    data = {"rows": rows, "chips": chips}
    chosen = _component()(key=key, data=data, on_chosen_change=_nothing).chosen
    return int(chosen) if chosen is not None and 0 <= int(chosen) < len(rows) else None


def _nothing() -> None:
    """Do nothing more than run the page again."""


@functools.cache
def _component() -> Callable[..., Any]:
    import streamlit as st

    return st.components.v2.component(
        "clarify_phrases",
        html='<div class="list"></div>',
        css=(ASSETS / "phrases.css").read_text(encoding="utf-8"),
        js=(ASSETS / "phrases.js").read_text(encoding="utf-8"),
    )
