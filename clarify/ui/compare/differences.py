"""The lower part of the Compare page: what was gained over the base model, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from clarify.ui.compare.model_table import title_of
from clarify.ui.pieces import blocks
from clarify.ui.pieces.charts import INK, PAPER

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from clarify.method.groups.metrics import Interval
    from clarify.workflow.decide.compare import Changed
    from clarify.workflow.decide.compared import Compared

__all__ = ["difference_plot", "draw_differences", "most_changed", "saving"]

CLASSES_SHOWN = 20
MUTED, LINE = "#808790", "#B9B8B2"
LONGEST_NAME = 34


def draw_differences(rows: Sequence[Compared], row: Compared, found: Changed) -> None:
    """Draw what was gained over the base: by each model, and by class for the one chosen."""
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.html('<div class="c-name">Differences to the base model</div>', width="content")
        kind = st.segmented_control(
            "The camera saves",
            ["SVG", "PNG"],
            default="SVG",
            key="figure-kind",
            label_visibility="collapsed",
            width="content",
            help="What a figure's camera saves",
        )
    dark = st.context.theme.type == "dark"
    file = str(kind or "SVG").lower()
    compared = {
        what: {
            f"{number}. {title_of(each)}": each.gains[what]
            for number, each in enumerate(rows)
            if what in each.gains
        }
        for what in ("worst_group", "average")
    }
    shown = [(what.replace("_", " "), gains) for what, gains in compared.items() if gains]
    for column, (what, gains) in zip(st.columns(len(shown)), shown, strict=True):
        column.plotly_chart(
            difference_plot(gains, name=what, dark=dark),
            key=f"gains-{what}",
            config=saving(f"gain in {what}", file),
        )
    classes = most_changed(found.classes, CLASSES_SHOWN)
    few = "" if len(classes) == len(found.classes) else f", the {CLASSES_SHOWN} that changed most"
    st.html(blocks.muted(f"By class, of “{title_of(row)}”{few}"))
    figure = difference_plot(classes, name="accuracy of the class", dark=dark)
    st.plotly_chart(figure, key="gains-class", config=saving("gain by class", file))


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

    # Escaped: plotly would take some of it for markup.
    texts = [blocks.cell(blocks.short(text, LONGEST_NAME)) for text in gains]
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
    options = {"format": kind, "filename": file_name, "scale": 2 if kind == "png" else 1}
    return {
        "displaylogo": False,
        "displayModeBar": True,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": options,
    }


def most_changed(gains: Mapping[str, Interval], most: int) -> dict[str, Interval]:
    """Return the classes that changed most, worst first."""
    ordered: Sequence[tuple[str, Interval]] = sorted(gains.items(), key=lambda each: -abs(each[1].estimate))
    return dict(sorted(ordered[:most], key=lambda each: each[1].estimate))
