"""The lower part of the Compare page: what was gained over the base model, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from clarify.ui.compare.charts import difference_plot, most_changed, saving
from clarify.ui.compare.model_table import title_of
from clarify.ui.pieces import blocks

if TYPE_CHECKING:
    from clarify.workflow.decide.compare import Changed, Compared

__all__ = ["draw_differences"]

CLASSES_SHOWN = 20


def draw_differences(rows: list[Compared], row: Compared, found: Changed) -> None:
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
