"""Where does the model fail? Every class by its wrong images; a click leads on to Describe."""

from __future__ import annotations

import streamlit as st

from clarify.errors import ClarifyError
from clarify.track.runs import DescriptionRun
from clarify.ui.classes import rows as classes
from clarify.ui.classes.confusion import MOST_CLASSES, WRITTEN, confusion_map
from clarify.ui.classes.promises import Promised, promised, wait_for_promises
from clarify.ui.pieces import blocks
from clarify.ui.pieces.page import DATA, NEW_HERE, PAGES, Page, current, stop_with
from clarify.workflow.model.failures import Failures

ROWS = 25
PROMISING = 100  # so many are listed by promise: those that are worth a look
FEW = 6
FORMULA = (
    "promise = n / (n + 10) × held-out score × room. n: wrong images of the class. Held-out score: "
    "how well the best phrases of a vocabulary tell right from wrong, on images that had no part "
    "in the choice. Room: how much worse the images on their side do than the class."
)


def draw(page: Page) -> None:
    """Draw the page."""
    try:
        failures = page.desk.failures()
    except ClarifyError as error:
        stop_with(error)
    manifest = page.project.manifest
    found = classes.overview(manifest.classes, failures)
    st.html(blocks.title(manifest.title, facts(found), crumb="Where does the model fail?"))
    offer_tutorial()
    rows, glance = st.columns([10, 3.6], gap="medium")
    with rows, st.container(border=True, key="panel-classes"):
        draw_classes(page, failures, found)
    with glance, st.container(border=True, key="panel-confusion"):
        draw_confusion(found)


def facts(found: classes.Overview) -> str:
    """Say in one line how the model stands."""
    many = len(found.names)
    worst = f"{found.names[found.worst]}, {blocks.percent(float(found.share_right[found.worst]))}"
    return (
        f"{many:,} {'class' if many == 1 else 'classes'} · {int(found.images.sum()):,} validation "
        f"images · {blocks.percent(found.average)} right on average · worst class: {worst}"
    )


def offer_tutorial() -> None:
    """Offer the tutorial in one line to those who just came for the first time."""
    if not st.session_state.get(NEW_HERE):
        return
    with st.container(horizontal=True, vertical_alignment="center", key="offer-tutorial"):
        st.html("New here? See in two minutes how a model's mistakes are put into words.", width="content")
        if st.button("Show me"):
            del st.session_state[NEW_HERE]
            st.switch_page(st.Page(PAGES / "tutorial.py"))
        if st.button("Not now", type="tertiary"):
            del st.session_state[NEW_HERE]
            st.rerun()


def draw_classes(page: Page, failures: Failures, found: classes.Overview) -> None:
    """Draw search, order, and the rows of one page."""
    many = len(found.names)
    with st.container(horizontal=True, vertical_alignment="center"):
        asked = st.text_input(
            "Search",
            key="classes-search",
            type="search",
            label_visibility="collapsed",
            placeholder=f"Search {many:,} classes",
            autocomplete="off",
            live=True,
            persist_state="session",
        )
        order = st.selectbox(
            "Order",
            classes.ORDERS,
            key="classes-order",
            label_visibility="collapsed",
            width=200,
            format_func=lambda name: f"by {name}" if name in ("promise", "name") else name,
            persist_state="session",
        )
    known = promised(page, failures)
    chosen = classes.in_order(found, order, known.by_class)
    cut = order == "promise" and not asked.strip() and many > PROMISING
    chosen = chosen[:PROMISING] if cut else chosen[classes.named(found, asked)[chosen]]
    if order == "promise":
        draw_promise(known)
    if not len(chosen):
        st.html(blocks.empty("No class has that in its name.", "Search for another word."))
        return
    listed = f"the first {PROMISING} of {many:,}" if cut else f"{len(chosen):,}"
    draw_rows(page, failures, found, known, chosen.tolist(), listed)


def draw_promise(known: Promised) -> None:
    """Say what the order is, and wait for it where it is not known yet."""
    if known.by_class is not None:
        some = sum(each > 0 for each in known.by_class.values())
        said = (
            "First where a description would pay most"
            if some
            else ("First where many images are wrong; no phrase of the vocabulary tells them apart")
        )
        st.caption(f"{said}.", help=FORMULA)
    elif known.trouble:
        st.caption(
            "First where many images are wrong; the promise could not be worked out: "
            f"{blocks.plain(known.trouble)}"
        )
    elif known.work is not None:
        wait_for_promises(known.work)


def draw_rows(
    page: Page, failures: Failures, found: classes.Overview, known: Promised, chosen: list[int], listed: str
) -> None:
    """Draw the rows of the page that is turned to, and the pager under them."""
    rows, turned = st.container(gap=None), turn(len(chosen), listed)
    said = classes.said_of(page.desk.runs(DescriptionRun), failures.model.run_id)
    with rows:
        for number, label in enumerate(chosen[turned * ROWS : (turned + 1) * ROWS]):
            name = found.names[label]
            promise = (known.by_class or {}).get(name)
            told = classes.numbers_html(found, label, said.get(name), promise)
            draw_row(page, failures, found, label, told, number)


def turn(count: int, listed: str) -> int:
    """Draw the pager; returns the page, counted from 0. Another search begins at the first."""
    pages = -(-count // ROWS)
    if pages < 2:
        return 0
    with st.container(horizontal=True, vertical_alignment="center"):
        place = st.container(width="content")
        key = f"classes-page-{count}-{st.session_state['classes-order']}"
        turned = st.pagination(pages, key=key, persist_state="session") - 1
        last = min(count, (turned + 1) * ROWS)
        place.html(blocks.muted(f"{turned * ROWS + 1:,} to {last:,} of {listed}"))
    return turned


def draw_row(
    page: Page, failures: Failures, found: classes.Overview, label: int, told: str, number: int
) -> None:
    """Draw one class: its name, a link that can be sent; its wrong images; what is told of it."""
    name = found.names[label]
    most = classes.THUMBNAILS * (2 if len(found.names) <= FEW else 1)
    pictures = classes.pictures_of(label, failures, page.picture, most)
    with st.container(key=f"class-row-{number}", gap=None):
        st.page_link(
            st.Page(PAGES / "describe.py"),
            label=f"**{blocks.plain(name)}**",
            query_params={DATA: page.project.manifest.name, "class": name},
        )
        st.html(classes.strip_html(pictures, classes.taken(found, label)) + told)


def draw_confusion(found: classes.Overview) -> None:
    """Draw what is taken for what."""
    st.html(blocks.heading("Confusion at a glance"))
    if len(found.names) <= MOST_CLASSES:
        figure = confusion_map(found, dark=st.context.theme.type == "dark")
        st.plotly_chart(figure, key="confusion", config={"displayModeBar": False})
    if len(found.names) > WRITTEN:
        st.html(classes.confusions_html(found))


draw(current())
