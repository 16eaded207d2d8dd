"""Phrases to choose from, as rows with their scores or as chips: one component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clarify.ui.pieces.blocks import component, nothing, score

__all__ = ["phrase_chips", "phrase_rows"]


def phrase_rows(phrases: Sequence[tuple[str, str, float | None, bool]], *, key: str) -> int | None:
    """Draw phrases, best first; return the number of the one that was just clicked, else None.

    Parameters
    ----------
    phrases : sequence of (phrase, by whom, error score, kept)
        Without a score where it says nothing.
    key : str
        Of the widget, unique on the page.
    """
    rows = [
        {
            "phrase": phrase,
            "by": by,
            "score": score(value),
            "share": max(0.0, min(1.0, value or 0.0)),
            "best": number == 0 and value is not None,
            "kept": kept,
        }
        for number, (phrase, by, value, kept) in enumerate(phrases)
    ]
    return _draw(rows, key=key, chips=False)


def phrase_chips(phrases: Sequence[tuple[str, str]], *, key: str) -> int | None:
    """Draw phrases as chips, each with a figure; returns as `phrase_rows`."""
    rows = [{"phrase": phrase, "score": figure} for phrase, figure in phrases]
    return _draw(rows, key=key, chips=True)


def _draw(rows: list[dict[str, Any]], *, key: str, chips: bool) -> int | None:
    data = {"rows": rows, "chips": chips}
    chosen = component("phrases", "list")(key=key, data=data, on_chosen_change=nothing).chosen
    return int(chosen) if chosen is not None and 0 <= int(chosen) < len(rows) else None
