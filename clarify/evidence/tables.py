"""Rows as Markdown, CSV, and a page of charts that opens offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["csv_table", "figure", "markdown", "percent", "study_markdown"]

USES = {"none": "class labels", "words": "words", "groups": "**groups (oracle)**"}
COLOURS = {"none": "#8a8f98", "words": "#0072b2", "groups": "#e69f00"}
SYMBOLS = {"none": "circle", "words": "diamond", "groups": "square"}


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return one table a data set, percent with one decimal, mean and deviation over seeds.

    Under each stands its best oracle; beside each row of words the one that does the same.

    Parameters
    ----------
    rows : sequence of mapping
        A `Row` each, as plain values.
    """
    parts = []
    for name in dict.fromkeys(row["data_set"] for row in rows):
        own = [row for row in rows if row["data_set"] == name]
        first = own[0]
        seeds = "data sets drawn anew" if first["drawn"] else "draws of training images"
        best = [row for row in own if row["supervision"] == "groups" and row["method"] == row["best_oracle"]]
        parts += [
            f"**{name}**, {first['encoder']}, {first['images']:,} test images, {first['seeds']} {seeds}",
            "",
            "| method | uses | validation | chosen by | worst group | adjusted average | gap | minority half "
            "| over ERM | over its oracle | over the best oracle | s |",
            "|---" * 12 + "|",
            *(_line(row) for row in own),
            "",
            *(
                f"Best oracle by {row['validation']} validation: `{row['method']}`, "
                f"{_spread(row['worst_group_accuracy'])}."
                for row in best
            ),
            "",
        ]
    return "\n".join(parts)


def _line(row: Mapping[str, Any]) -> str:
    minority = row["minority_half_accuracy"]
    cells = [
        row["method"],
        USES[row["supervision"]],
        row["validation"],
        ", at ".join((row["selection"], *row["edges"])),
        _spread(row["worst_group_accuracy"]),
        _spread(row["adjusted_average_accuracy"]),
        percent(row["gap"]["mean"]),
        "–" if minority is None else percent(minority["mean"]),
        _interval(row["over_erm"]),
        "–" if row["over_own_oracle"] is None else f"{row['oracle']}: {_interval(row['over_own_oracle'])}",
        _interval(row["over_oracle"]),
        f"{row['seconds']:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _interval(over: Mapping[str, float] | None) -> str:
    if over is None:
        return "–"
    return f"{100 * over['estimate']:+.1f} [{100 * over['low']:+.1f}, {100 * over['high']:+.1f}]"


def _spread(values: Mapping[str, float]) -> str:
    return f"{percent(values['mean'])} ± {percent(values['sd'])}"


def percent(fraction: float) -> str:
    """Return a fraction as percent with one decimal, without the sign."""
    return f"{100 * fraction:.1f}"


def study_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of a study: spreads as percent, everything else as it is."""
    columns = list(rows[0])
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        cells = [
            _spread(value) if isinstance(value, dict) else "–" if value is None else str(value)
            for value in (row[name] for name in columns)
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def csv_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as CSV; fractions, and a column for each mean, deviation and end."""
    flat = []
    for row in rows:
        values: dict[str, Any] = {}
        for name, value in row.items():
            if isinstance(value, dict):
                values |= {f"{name}_{part}": each for part, each in value.items()}
            elif isinstance(value, tuple | list):
                values[name] = ", ".join(value)
            elif value is not None or not name.startswith(("minority_half", "over_")):
                values[name] = value
        flat.append(values)
    return pl.from_dicts(flat, infer_schema_length=None).write_csv()


def figure(rows: Sequence[Mapping[str, Any]], *, title: str) -> Figure:
    """Return worst group against adjusted average, a panel a data set."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    names = list(dict.fromkeys(row["data_set"] for row in rows))
    panels = make_subplots(rows=len(names), cols=1, subplot_titles=names, vertical_spacing=0.06)
    for number, name in enumerate(names, start=1):
        for supervision, colour in COLOURS.items():
            own = [row for row in rows if (row["data_set"], row["supervision"]) == (name, supervision)]
            x, y = ([row[f"{what}_accuracy"] for row in own] for what in ("adjusted_average", "worst_group"))
            panels.add_trace(
                go.Scatter(
                    x=[100 * each["mean"] for each in x],
                    y=[100 * each["mean"] for each in y],
                    error_x={"array": [100 * each["sd"] for each in x], "thickness": 1},
                    error_y={"array": [100 * each["sd"] for each in y], "thickness": 1},
                    mode="markers",
                    name=USES[supervision].strip("*"),
                    legendgroup=supervision,
                    showlegend=number == 1,
                    marker={"color": colour, "size": 9, "symbol": SYMBOLS[supervision]},
                    text=[f"{row['method']}, {row['selection']}, {row['validation']}" for row in own],
                    hovertemplate="%{text}<br>worst group %{y:.1f} %<br>"
                    "adjusted average %{x:.1f} %<extra></extra>",
                ),
                row=number,
                col=1,
            )
        panels.update_xaxes(title_text="adjusted average, %", row=number, col=1)
        panels.update_yaxes(title_text="worst group, %", row=number, col=1)
    panels.update_layout(title=title, height=160 + 380 * len(names), template="simple_white")
    return panels
