"""Figures of the Compare page: what each model gained over the base, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clarify.ui.pieces.blocks import cell
from clarify.ui.pieces.charts import INK, PAPER

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from clarify.method.groups.metrics import Interval

__all__ = ["difference_plot", "most_changed", "saving"]

MUTED, LINE = "#808790", "#B9B8B2"
LONGEST_NAME = 34


def difference_plot(gains: Mapping[str, Interval], *, name: str, dark: bool = False) -> Figure:
    """Draw differences to the base model as points with their 95 % intervals, in points.

    Parameters
    ----------
    gains : mapping of text to Interval
        Fractions, drawn from top to bottom; above 0 is better than the base.
    name : str
        What is drawn, below the axis.
    dark : bool
        Whether it stands on a dark page.
    """
    import plotly.graph_objects as go

    texts = [_short(text) for text in gains]
    at = list(range(len(gains)))
    found = list(gains.values())
    figure = go.Figure()
    figure.add_vline(x=0, line={"width": 1, "color": LINE})
    figure.add_scatter(
        x=[100 * each.estimate for each in found],
        y=at,
        mode="markers",
        text=texts,
        error_x={
            "type": "data",
            "symmetric": False,
            "thickness": 1.5,
            "width": 0,
            "color": MUTED,
            "array": [100 * (each.high - each.estimate) for each in found],
            "arrayminus": [100 * (each.estimate - each.low) for each in found],
        },
        customdata=[[100 * each.low, 100 * each.high] for each in found],
        marker={"size": 9, "color": PAPER if dark else INK},
        hovertemplate="%{text}: %{x:+.1f} points, 95% %{customdata[0]:+.1f} to "
        "%{customdata[1]:+.1f}<extra></extra>",
    )
    figure.update_layout(
        height=70 + 26 * len(gains),
        showlegend=False,
        margin={"l": 4, "r": 40, "t": 6, "b": 4},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": LINE, "activecolor": MUTED},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 13},
        yaxis={
            "tickvals": at,
            "ticktext": texts,
            "autorange": "reversed",
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
            "fixedrange": True,
        },
        xaxis={
            "ticksuffix": "",
            "tickformat": "+.0f",
            "zeroline": False,
            "fixedrange": True,
            "title": {"text": f"{name}, points over the base", "font": {"size": 12}},
        },
    )
    return figure


def saving(file_name: str, kind: str) -> dict[str, Any]:
    """Return how plotly's own button saves a figure: as ``svg`` or ``png``, without a server."""
    keep = ["toImage"]
    options = {"format": kind, "filename": file_name, "scale": 2 if kind == "png" else 1}
    return {
        "displaylogo": False,
        "displayModeBar": True,
        "modeBarButtons": [keep],
        "toImageButtonOptions": options,
    }


def _short(text: str) -> str:
    """Cut a name that is too long, and escape what plotly would take for markup."""
    return cell(text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…")


def most_changed(gains: Mapping[str, Interval], most: int) -> dict[str, Interval]:
    """Return the classes that changed most, worst first."""
    ordered: Sequence[tuple[str, Interval]] = sorted(gains.items(), key=lambda each: -abs(each[1].estimate))
    return dict(sorted(ordered[:most], key=lambda each: each[1].estimate))
