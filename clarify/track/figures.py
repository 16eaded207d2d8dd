"""Plotly figures that are logged with a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

__all__ = ["RIGHT", "WRONG", "distribution_figure"]

RIGHT = "#0072B2"
WRONG = "#D55E00"
BINS = 40


def distribution_figure(
    scores: NDArray[np.float64], right: NDArray[np.bool_], threshold: float, *, title: str
) -> Figure:
    """Draw how the phrase's scores are spread over right and over wrong images.

    Parameters
    ----------
    scores : (N,) float64
        Of one class's images.
    right : (N,) bool
        Which of them the model got right.
    threshold : float
        The cut, drawn as a line.
    title : str
        One sentence; shown as text.
    """
    import html

    import plotly.graph_objects as go

    edges = np.histogram_bin_edges(scores, bins=BINS)
    figure = go.Figure()
    for name, colour, chosen in (("right", RIGHT, right), ("wrong", WRONG, ~right)):
        counts, _ = np.histogram(scores[chosen], bins=edges)
        shares = counts / max(1, counts.sum())
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=shares,
            width=np.diff(edges),
            name=f"{name} ({int(counts.sum()):,})",
            marker={"color": colour, "opacity": 0.6},
            customdata=counts,
            hovertemplate="%{customdata} " + name + " images<extra></extra>",
        )
    figure.add_vline(x=threshold, line={"color": "#1C1F23", "width": 2})
    figure.update_layout(
        title=html.escape(title),
        barmode="overlay",
        bargap=0,
        template="plotly_white",
        xaxis_title="similarity to the phrase",
        yaxis={"title": "share of images", "tickformat": ".0%"},
    )
    return figure
