"""Plotly figures of the pages, from plain data; transparent, so that they fit both themes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

    from clarify.workflow.describe.phrases import TriedPhrase

__all__ = ["INK", "PAPER", "RIGHT", "WRONG", "confidence", "cut_range", "similarities"]

RIGHT, WRONG = "#0072B2", "#D55E00"
INK, PAPER = "#1C1F23", "#E9E8E4"
"""What is drawn in the colour of text, on light and on dark."""

HANDLE = 8
"""Half of the slider's handle in pixels: so far from its ends the slider begins and ends."""

POINTS = 200
MOST_POINTS = 5_000


def similarities(tried: TriedPhrase, *, dark: bool) -> Figure:
    """Draw how a phrase's scores are spread over right and over wrong images, with the cut.

    Both curves have the same area, however few wrong images there are: the error score compares
    the spreads, not the counts.
    """
    import plotly.graph_objects as go

    scores, right = tried.description.shown(tried.scores), tried.right
    low, high = cut_range(tried)
    at = np.linspace(low, high, POINTS)
    curves = [
        {
            "type": "scatter",
            "x": at,
            "y": _density(scores[chosen], at),
            "fill": "tozeroy",
            "line": {"color": colour, "width": 1.5},
            # A line alone cannot be clicked; its points can, seen or not.
            "mode": "lines+markers",
            "marker": {"opacity": 0},
            "selected": {"marker": {"opacity": 0}},
            "unselected": {"marker": {"opacity": 0}},
            "name": f"{name}, {int(chosen.sum()):,}",
            "hovertemplate": "%{x:.3f}<extra>" + name + "</extra>",
        }
        for name, colour, chosen in (("right", RIGHT, right), ("wrong", WRONG, ~right))
    ]
    cut = tried.description.shown_cut
    line = {
        "type": "line",
        "x0": cut,
        "x1": cut,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"width": 2, "color": PAPER if dark else INK},
    }
    text = {
        "x": cut,
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
        "text": f"threshold {cut:.3f}",
    }
    # Made in one go: each change of a figure is checked anew, which takes four times as long.
    layout = {**_quiet(height=190), "hovermode": "x", "shapes": [line], "annotations": [text]}
    # From edge to edge as the slider under it, so that its handle stands under the line.
    layout["xaxis"] = {**layout["xaxis"], "range": [low, high]}
    layout["margin"] = {**layout["margin"], "l": HANDLE, "r": HANDLE}
    return go.Figure({"data": curves, "layout": layout})


def cut_range(tried: TriedPhrase) -> tuple[float, float]:
    """Return from where to where a phrase may be cut, as people see it."""
    low, high = tried.description.shown([tried.scores.min(), tried.scores.max()])
    return float(low), float(high)


def _quiet(*, height: int) -> dict[str, Any]:
    """Return the layout of a figure of which only what is looked at is left."""
    return {
        "height": height,
        "margin": {"l": 4, "r": 4, "t": 26, "b": 4},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "yaxis": {"visible": False},
        "xaxis": {"showgrid": False},
        "legend": {"orientation": "h", "y": 1.12, "x": 0},
    }


def _density(values: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a smoothed density by Silverman's rule, from a histogram: size costs nothing."""
    if len(values) < 2 or values.std() == 0:
        return np.zeros_like(at)
    width = 1.06 * float(values.std()) * len(values) ** -0.2
    counts, edges = np.histogram(values, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    kernels = np.exp(-0.5 * ((at[:, None] - middles) / width) ** 2)
    found: NDArray[np.float64] = kernels @ counts / (len(values) * width * np.sqrt(2 * np.pi))
    return found


def confidence(tried: TriedPhrase, values: NDArray[np.float64]) -> tuple[Figure, list[NDArray[np.int64]]]:
    """Draw similarity against the model's confidence; returns each curve's rows in the split too.

    Parameters
    ----------
    tried : TriedPhrase
        Of N images; a seeded sample of them is drawn where there are many.
    values : (N,) float64
        The probability that the model gave to what it predicted.
    """
    import plotly.graph_objects as go

    shown = tried.description.shown(tried.scores)
    order = np.sort(np.random.default_rng(0).permutation(len(values))[:MOST_POINTS])
    figure, rows = go.Figure(), []
    for name, colour, symbol, chosen in (
        ("right", RIGHT, "circle", tried.right[order]),
        ("wrong", WRONG, "diamond", ~tried.right[order]),
    ):
        at = order[chosen]
        rows.append(tried.rows[at])
        figure.add_scatter(
            x=shown[at],
            y=values[at],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 6, "symbol": symbol},
            hovertemplate="similarity %{x:.3f}, confidence %{y:.1%}<extra></extra>",
        )
    figure.update_layout(_quiet(height=280))
    figure.update_layout(
        yaxis={"visible": True, "tickformat": ".0%", "title": "confidence"}, dragmode="lasso"
    )
    return figure, rows
