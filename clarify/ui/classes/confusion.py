"""Confusion at a glance: a heat map of what each class is taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify.ui.pieces import blocks
from clarify.ui.pieces.charts import PAPER, RIGHT, WRONG

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure, Heatmap

    from clarify.ui.classes.rows import Overview

__all__ = ["MOST_CLASSES", "WRITTEN", "confusion_map"]

MOST_CLASSES = 20
WRITTEN = 8
"""Up to so many classes, each field says its count."""

LONGEST = 18


def confusion_map(found: Overview, *, dark: bool = False) -> Figure:
    """Draw a field for each class and what it is taken for: right ones blue, wrong ones orange.

    A field is as strong as its share of the class's images; `dark` is the page that it stands on.
    """
    import plotly.graph_objects as go

    shares = found.counts / found.images[:, None]
    diagonal = np.eye(len(found.names), dtype=np.bool_)
    figure = go.Figure(
        [
            _fields(found, shares, diagonal, RIGHT, "right", dark=dark),
            _fields(found, shares, ~diagonal, WRONG, "wrong", dark=dark),
        ]
    )
    ticks = {
        "tickvals": list(range(len(found.names))),
        "ticktext": [blocks.cell(blocks.short(name, LONGEST)) for name in found.names],
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "automargin": True,
    }
    figure.update_layout(
        height=120 + max(120, 22 * len(found.names)),
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={**ticks, "title": {"text": "taken for", "font": {"size": 13}}},
        yaxis={**ticks, "autorange": "reversed"},
        hoverlabel={"align": "left"},
    )
    return figure


def _fields(
    found: Overview,
    shares: NDArray[np.float64],
    where: NDArray[np.bool_],
    colour: str,
    kind: str,
    *,
    dark: bool,
) -> Heatmap:
    import plotly.graph_objects as go

    names = [blocks.cell(name) for name in found.names]
    told = [
        [
            f"{found.counts[own, other]:,} of {found.images[own]:,} {mine} taken for {theirs}"
            for other, theirs in enumerate(names)
        ]
        for own, mine in enumerate(names)
    ]
    return go.Heatmap(
        z=np.where(where, shares, np.nan),
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=3,
        ygap=3,
        colorscale=[[0, _faded(colour, 0.07)], [1, colour]],
        text=np.where(where, found.counts.astype(str), ""),
        texttemplate="%{text}" if len(names) <= WRITTEN else None,
        textfont={"color": PAPER} if dark else None,
        hovertext=told,
        hovertemplate=f"%{{hovertext}}<extra>{kind}</extra>",
        hoverongaps=False,
    )


def _faded(colour: str, strength: float) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{strength})"
