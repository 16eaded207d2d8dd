"""Small pieces of a page as HTML. Whatever comes from people or data is escaped here."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "bar",
    "cell",
    "chip",
    "component",
    "empty",
    "half",
    "heading",
    "muted",
    "nothing",
    "percent",
    "plain",
    "score",
    "short",
    "style",
    "table",
    "title",
]

ASSETS = Path(__file__).parents[1] / "assets"


@functools.cache
def style() -> str:
    """Return the style sheet of all pages, as an element."""
    return f"<style>{_asset('style.css')}</style>"


@functools.cache
def component(name: str, element: str, *more_styles: str) -> Callable[..., Any]:
    """Return the component that ``assets/NAME.js`` fills an element of class `element` with."""
    import streamlit as st

    return st.components.v2.component(
        f"clarify_{name}",
        html=f'<div class="{element}"></div>',
        css="\n".join(_asset(f"{each}.css") for each in (*more_styles, name)),
        js=_asset(f"{name}.js"),
    )


def nothing() -> None:
    """Do nothing more than run the page again: what a component's click may do."""


def _asset(file: str) -> str:
    return (ASSETS / file).read_text(encoding="utf-8")


def cell(text: object) -> str:
    """Return a text so that it is shown as text."""
    return html.escape(str(text), quote=True)


def short(text: str, most: int) -> str:
    """Return a text cut to so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def percent(value: float | None) -> str:
    """Return a fraction as percent with one decimal, or a dash."""
    return "–" if value is None else f"{100 * value:.1f}%"


def score(value: float | None) -> str:
    """Return a score in [-1, 1] with two decimals, or a dash."""
    return "–" if value is None else f"{value:.2f}"


def title(name: str, facts: str, *, crumb: str = "") -> str:
    """Return a page's title: the thing itself, with one muted line of how things stand."""
    above = f'<div class="c-crumb">{cell(crumb)}</div>' if crumb else ""
    return f'{above}<div class="c-title"><b>{cell(name)}</b><span>{cell(facts)}</span></div>'


def heading(text: str) -> str:
    """Return what stands over a list or a chart."""
    return f'<div class="c-heading">{cell(text)}</div>'


def muted(text: str) -> str:
    """Return a secondary sentence."""
    return f'<div class="c-muted">{cell(text)}</div>'


def bar(share: float, kind: str = "") -> str:
    """Return a thin bar filled to a share in [0, 1]; of kind ``halves``, right against wrong."""
    width = 100 * min(1.0, max(0.0, share))
    if kind == "halves":
        parts = f'<i class="right" style="width:{width:.2f}%"></i><i class="wrong" style="flex:1"></i>'
        return f'<div class="c-bar">{parts}</div>'
    return f'<div class="c-bar"><i style="width:{width:.2f}%"></i></div>'


def half(title: str, facts: str, share: float | None) -> str:
    """Return what stands over some pictures: their name, how many, and the share right with its bar."""
    return (
        f'<div class="c-name">{cell(title)}</div><div class="c-half"><span>{cell(facts)}</span>'
        f"<span>{percent(share)} right</span></div>{bar(share or 0.0, 'halves')}"
    )


def chip(text: str) -> str:
    """Return a phrase under a model."""
    return f'<span class="c-chip">{cell(text)}</span>'


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the header is text, the cells are HTML made with the functions above."""
    head = "".join(f"<th>{cell(name)}</th>" if name else "<td></td>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{each}</td>" for each in row) + "</tr>" for row in rows)
    return f'<table class="c-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def empty(what: str, next_step: str) -> str:
    """Return what stands where a thing would be: one sentence, one next step."""
    return f'<div class="c-empty"><b>{cell(what)}</b>{cell(next_step)}</div>'


def plain(text: str) -> str:
    """Return a text so that Markdown, as in labels, shows it as it is."""
    return "".join(f"\\{each}" if each in "\\`*_{}[]()#+-.!|<>$:~^&" else each for each in text)
