"""Put the failure of a class into words: score, split, threshold."""

from __future__ import annotations

import numpy as np
import streamlit as st

from clarify.errors import ClarifyError
from clarify.ui.describe.halves import draw_halves, draw_spread
from clarify.ui.describe.task import draw_preview, draw_task
from clarify.ui.describe.view import follow, write
from clarify.ui.pieces import blocks
from clarify.ui.pieces.page import Page, current, stop_with
from clarify.workflow.model.failures import Failures


def draw(page: Page) -> None:
    """Draw the page."""
    try:
        failures = page.desk.failures()
        name = follow(page, failures)
        label = page.project.manifest.class_index(name)
    except ClarifyError as error:
        stop_with(error)
    st.html(blocks.title(name, facts(page, failures, label), crumb="Classes / " + name))
    with st.container(key="beside"):
        task, pictures = st.columns([344, 950], gap="medium")
    with task:
        task = draw_task(page, failures, name)
        write(page, name, task.tried)
    with pictures, st.container(border=True, key="panel-pictures"):
        draw_halves(page, failures, failures.explored(label), task.tried)
        if task.tried is not None:
            draw_spread(page, failures, task.tried)
    draw_preview(page, failures, task)


def facts(page: Page, failures: Failures, label: int) -> str:
    """Say in one line how the class stands."""
    rows = failures.data.of_class(label)
    right = failures.right[rows]
    wrong = int((~right).sum())
    parts = [f"{len(rows):,} validation images", f"{blocks.percent(float(right.mean()))} right"]
    if wrong:
        taken = np.bincount(failures.predicted[rows][~right])
        most = page.project.manifest.classes[int(taken.argmax())]
        how = "all" if taken.max() == wrong else "mostly"
        parts.append(f"{wrong:,} wrong, {how} taken for {most}")
    else:
        parts.append("none wrong")
    if aside := int(failures.aside(rows).sum()):
        parts.append(f"{aside:,} set aside to check what the others show")
    return " · ".join(parts)


draw(current())
