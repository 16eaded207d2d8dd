"""Base and retrained models side by side, and the images that each fixed and broke."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence

import numpy as np
import streamlit as st

from clarify import Comparison
from clarify.errors import ClarifyError, NotFoundError, shown
from clarify.track.runs import ModelRun
from clarify.ui.compare.differences import draw_differences
from clarify.ui.compare.figures import changed, compare_link, models, rows_of, splits_of, verdicts_of
from clarify.ui.compare.model_table import distinct, model_table, title_of
from clarify.ui.pieces import blocks
from clarify.ui.pieces.gallery import Picture, gallery
from clarify.ui.pieces.page import PAGES, Page, current, refuse, stop_with
from clarify.workflow.decide.compare import Changed
from clarify.workflow.decide.compared import CONTROL, Compared, remarks

SHOWN = 36
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")
INTERVALS = "In brackets stands the 95% interval of each accuracy."
NOTES = {
    "validation": "The small figures are what was gained over the base on the same images, a 95% "
    "paired bootstrap interval in points, and of several seeds the deviation. Seed 0 trains on all "
    "images, and it is what can be promoted; each other on images drawn anew from them.",
    "test": "Test images: look, but choose by validation. Who chooses a model by its test figures "
    "flatters it.",
}


def draw(page: Page) -> None:
    """Draw the page."""
    try:
        base, retrained, champion = models(page)
        splits = splits_of([base, *itertools.chain.from_iterable(retrained)])
        top = st.container(horizontal=True, horizontal_alignment="distribute")
        heading = top.empty()
        split = choose_split(top, splits)
        with st.spinner("Reading the models"):
            rows = rows_of(page, base, retrained, champion, split)
            verdicts = verdicts_of(page, rows, champion)
    except ClarifyError as error:
        stop_with(error)
    count = len(retrained)
    many = NUMBERS[count] if count < len(NUMBERS) else f"{count:,}"
    title = f"{many} correction{'' if count == 1 else 's'} of one model"
    heading.html(blocks.title(title, facts(rows, split), crumb=page.project.manifest.title))
    first = [alike[0] for alike in retrained]
    if champion is not None and champion.run is not None and champion.run not in first:
        first.insert(0, champion.run)
    run, is_chosen = chosen_run(first, verdicts)
    with st.container(border=True, key="panel-models"):
        draw_table(page, rows, verdicts, run, split, promotes=is_chosen and run.id in verdicts)
    row = next(each for each in rows if each.run_id == run.id)
    other = choose_other(rows, row)
    runs = {each.id: each for each in (base, *first)}
    found = changed(page, runs[other.run_id], run, split)
    for column, what in zip(st.columns(2, gap="medium"), ("fixed", "broken"), strict=True):
        with column, st.container(border=True, key=f"panel-{what}"):
            of = f"{row.run_id}-{other.run_id}-{split}"
            draw_images(page, found, what, of, title_of(row))
    with st.container(border=True, key="panel-differences"):
        draw_differences(rows, row, changed(page, base, run, split))


def facts(rows: Sequence[Compared], split: str) -> str:
    """Say in one line what the figures are of."""
    seeds = {row.seeds for row in rows if row.seeds > 1}
    if not seeds:
        return f"{split} images"
    count = f"{seeds.pop()}" if len(seeds) == 1 else f"{min(seeds)} to {max(seeds)}"
    return f"{split} images, mean ± deviation over {count} seeds"


def choose_split(place: st.delta_generator.DeltaGenerator, splits: list[str]) -> str:
    """Let the visitor choose the images; validation unless asked otherwise."""
    if len(splits) < 2:
        return splits[0]
    chosen = place.segmented_control(
        "Images", splits, default=splits[0], key="compare-split", label_visibility="collapsed"
    )
    return str(chosen or splits[0])


def choose_other(rows: Sequence[Compared], row: Compared) -> Compared:
    """Let the visitor choose which model's mistakes were fixed; the base unless asked otherwise."""
    how = [f"{each.objective.replace('_', ' ')}{' + refit' if each.refit else ''}" for each in rows]
    names = distinct([f"{title_of(each)} ({what})" for each, what in zip(rows, how, strict=True)])
    others = {
        name: each for name, each in zip(names, rows, strict=True) if each is not row and each.kind != CONTROL
    }
    with st.container(horizontal=True, vertical_alignment="center", key="against"):
        st.html(blocks.muted(f"What “{title_of(row)}” changed of"), width="content")
        chosen = st.selectbox(
            "Of which model",
            list(others),
            label_visibility="collapsed",
            width=360,
            key=f"against-{row.run_id}",
        )
    return others[str(chosen)]


def chosen_run(retrained: list[ModelRun], verdicts: dict[str, bool]) -> tuple[ModelRun, bool]:
    """Return the model that is looked at, and whether somebody chose it: its row, or an address.

    Else it is the newest that passes, or the newest: to be looked at, not to be promoted.
    """
    asked = st.query_params.get("model", "")
    for run in retrained:
        if asked and run.id == asked:
            return run, True
    if asked:
        refuse(NotFoundError(f"the address names the model {shown(asked)}, and none of these is it"))
    passing = [run for run in retrained if verdicts.get(run.id)]
    return (passing or retrained)[-1], False


def draw_table(
    page: Page,
    rows: Sequence[Compared],
    verdicts: dict[str, bool],
    run: ModelRun,
    split: str,
    *,
    promotes: bool,
) -> None:
    """Draw the table, and what can be done with it; a model is promoted only if somebody chose it."""
    model_table(
        rows,
        verdicts,
        chosen=run.id,
        key="models",
        choose=lambda clicked: st.query_params.__setitem__("model", clicked),
    )
    st.html(blocks.muted(" ".join([*remarks(rows), INTERVALS, NOTES[split]])))
    name = title_of(next(row for row in rows if row.run_id == run.id))
    table = Comparison(rows, split).to_polars()
    parquet = io.BytesIO()
    table.write_parquet(parquet)
    file = f"{page.project.manifest.name}-{split}"
    with st.container(horizontal=True):
        if promotes and st.button(blocks.plain(f"Promote “{name}”"), type="primary"):
            st.session_state["candidate"] = run.id
            st.switch_page(PAGES / "registry.py")
        link = compare_link(page, [row.run_id for row in rows if row.kind != CONTROL])
        if link is not None:
            st.link_button("Open in MLflow", link)
        st.download_button("Table as CSV", table.write_csv(), f"{file}.csv", "text/csv", on_click="ignore")
        st.download_button(
            "Table as Parquet",
            parquet.getvalue(),
            f"{file}.parquet",
            "application/vnd.apache.parquet",
            on_click="ignore",
        )
    draw_details(page, rows, link)


def draw_details(page: Page, rows: Sequence[Compared], link: str | None) -> None:
    """Draw what only who works with MLflow needs: runs, and how to open it."""
    with st.expander("Details"):
        cells = [
            [blocks.cell(title_of(row)), blocks.cell(row.name), f"<code>{row.run_id}</code>"]
            for row in rows
            if row.kind != CONTROL
        ]
        st.html(blocks.table(["Model", "Name in MLflow", "Run"], cells))
        if link is None:
            st.html(blocks.muted("To compare these runs in MLflow, start its own page with"))
            address = page.project.tracking.address.shown
            st.code(f"mlflow ui --backend-store-uri {address}", language="sh")


def draw_images(page: Page, found: Changed, what: str, of: str, name: str) -> None:
    """Draw the images that a model fixed, or broke, page by page."""
    rows = found.fixed if what == "fixed" else found.broken
    says = "wrong before, right now" if what == "fixed" else "right before, wrong now"
    st.html(
        f'<div class="c-name">{what.capitalize()} by “{blocks.cell(name)}”</div>'
        f'<div class="c-half"><span>{says}</span><span>{len(rows):,} images</span></div>'
    )
    table = page.project.manifest.table
    key, pages = f"{what}-{of}", max(1, -(-len(rows) // SHOWN))
    at = min(int(st.session_state.get(f"at-{key}", 0)), pages - 1)
    # One fixed order, so that every page is a fair sample.
    order = np.random.default_rng(0).permutation(len(rows))[at * SHOWN : (at + 1) * SHOWN]
    seen = [int(row) for row in rows[np.sort(order)]]
    pictures = [
        Picture(
            address=page.picture(row),
            wrong=what == "broken",
            name=f"{table['id'][row]}, a {table['label'][row]}",
        )
        for row in seen
    ]
    opened = gallery(pictures, key=f"gallery-{what}", none=f"It has {what} no image.", side=74)
    if opened is not None:
        look_at(page, seen[opened], says)
    if pages > 1:
        draw_pager(key, at, pages)


def draw_pager(key: str, at: int, pages: int) -> None:
    """Draw which page it is, and the way to the others."""
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        st.html(blocks.muted(f"{at + 1} of {pages:,}"), width="content")
        for text, step in (("‹", -1), ("›", 1)):
            st.button(
                text,
                key=f"{text}-{key}",
                type="tertiary",
                disabled=not 0 <= at + step < pages,
                on_click=st.session_state.__setitem__,
                args=(f"at-{key}", at + step),
            )


@st.dialog("Image", width="large")
def look_at(page: Page, row: int, says: str) -> None:
    """Show one image whole, with its label."""
    table = page.project.manifest.table
    st.html(f'<img src="{page.picture(row, "whole")}" alt="" style="max-width:100%">')
    st.html(blocks.muted(f"{table['id'][row]}, a {table['label'][row]}: {says}"))


draw(current())
