"""Choose what goes into the next model; watch it train."""

from __future__ import annotations

import dataclasses
from typing import Any

import streamlit as st

from clarify.errors import ClarifyError
from clarify.finetune.schedule import Schedule
from clarify.track.runs import DescriptionRun
from clarify.ui.pieces import blocks
from clarify.ui.pieces.page import Page, current, refuse, stop_with
from clarify.ui.retrain.jobs import draw_jobs
from clarify.ui.retrain.outcomes import Offered, groups_html, offered_of
from clarify.workflow.describe.choosing import default_runs
from clarify.workflow.describe.grouping import GroupSize, groups_preview
from clarify.workflow.describe.recording import kept_descriptions
from clarify.workflow.jobs.files import Request
from clarify.workflow.jobs.queue import start
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.recipe import ERASURES, OBJECTIVES, PARTS, RETRAINING, SELECTIONS, Recipe

SEEDS = {1: "Once", 3: "3 seeds", 5: "5 seeds", 10: "10 seeds"}
SEEDS_HELP = (
    "Once trains on all images. Each further seed trains on images drawn anew from them, with "
    "replacement and group by group: how far the figures lie apart tells how much hangs on which "
    "images happened to be there."
)
EPOCHS_HELP = (
    "Times through the images. It ends earlier where the worst described group gets no better on "
    "validation; the best epoch is taken. A control without the phrases is trained beside it."
)
ERASE_HELP = (
    "What the phrases describe is taken out of the features before the fit, so that no weight can lean on it."
)
REFIT_HELP = (
    "The images that people looked at are worth more than their share. Figures on validation then "
    "come from heads that had not seen the image."
)
SELECT_HELP = "The figure on validation by which the weight decay is chosen."

# Of more phrases than these the list is scrolled. (A bare text would be drawn by Streamlit.)
MOST_PHRASES, SCROLLED_PX = 24, 560


def draw(page: Page) -> None:
    """Draw the page."""
    try:
        failures = page.desk.failures()
    except ClarifyError as error:
        stop_with(error)
    offered = offers(page, failures)
    st.html(blocks.title("The next correction", facts(failures, offered), crumb=page.project.manifest.title))
    left, right = st.columns([430, 860], gap="medium")
    with left, st.container(border=True, key="panel-choice"):
        draw_choice(page, failures, offered)
    with right:
        draw_jobs(page)


def offers(page: Page, failures: Failures) -> list[Offered]:
    """Return the phrases that may go into a retraining; which by default is worked out once a session."""
    usable = (failures.model.run_id, page.project.encoder.identity.digest)
    kept = [run for run in page.desk.runs(DescriptionRun) if run.kept and (run.parent, run.encoder) == usable]
    key = f"default-{'-'.join(run.id for run in kept)}"
    if key not in st.session_state:
        st.session_state[key] = {run.id for run in default_runs(page.project, kept)}
    return offered_of(kept, st.session_state[key])


def facts(failures: Failures, offered: list[Offered]) -> str:
    """Say in one line how things stand."""
    right = f"the base model is right on {blocks.percent(float(failures.right.mean()))}"
    classes = len({each.class_name for each in offered})
    if not offered:
        return f"{right} of the validation images"
    phrases = "1 phrase" if len(offered) == 1 else f"{len(offered):,} phrases"
    return f"{phrases} kept for {classes:,} {'class' if classes == 1 else 'classes'} · {right}"


def draw_choice(page: Page, failures: Failures, offered: list[Offered]) -> None:
    """Draw what goes in, the groups that it makes, and the button."""
    if not offered:
        st.html(
            blocks.empty("No phrase is kept yet.", "Describe a class, and keep what explains its errors.")
        )
        return
    what = "the model" if failures.model.is_network else "the last layer"
    st.html(f'<div class="c-sentence">Train {what} again so that these count:</div>')
    with st.container(height=SCROLLED_PX if len(offered) > MOST_PHRASES else "content"):
        chosen = draw_phrases(offered)
    what, often = st.columns([2, 1])
    state = st.session_state
    alone = state.get("erase", "none") == "none" and not state.get("refit", False)
    objective = what.selectbox(
        "What counts most",
        [name for name, row in OBJECTIVES.items() if row.alone or not alone],
        format_func=lambda name: OBJECTIVES[name].words,
    )
    seeds = often.selectbox("How often", list(SEEDS), format_func=SEEDS.__getitem__, help=SEEDS_HELP)
    part, schedule = draw_part(failures)
    ways = {} if PARTS[part].network else draw_ways()
    recipe = Recipe(objective=objective, seeds=seeds, part=part, schedule=schedule, **ways)
    with st.container(key="groups"):  # one place, whatever comes of it: nothing below it jumps
        found = draw_groups(page, failures, chosen)
    if st.button("Retrain", key="retrain", type="primary", shortcut="Ctrl+Enter", disabled=found is None):
        press(page, failures, chosen, recipe)
    draw_details(failures)


def draw_groups(page: Page, failures: Failures, chosen: list[Offered]) -> tuple[GroupSize, ...] | None:
    """Draw the groups that the phrases make; None where they make none."""
    if not chosen:
        st.html(blocks.muted("Choose at least one phrase."))
        return None
    try:
        found = preview(page, failures, chosen)
    except ClarifyError as error:
        refuse(error)
        return None
    st.html(f'<div class="c-box">{groups_html(found)}</div>')
    return found


def draw_phrases(offered: list[Offered]) -> list[Offered]:
    """Draw the phrases class by class, each with a box; return those that are chosen."""
    chosen = []
    for number, each in enumerate(offered):
        if number == 0 or offered[number - 1].class_name != each.class_name:
            st.html(blocks.heading(each.class_name))
        with st.container(horizontal=True, vertical_alignment="center", key=f"offered-{number}"):
            by = blocks.plain(", ".join(each.by))
            suggested = " · suggested by the machine" if each.machine else ""
            label = f"{blocks.plain(each.phrase)} :gray[{by}{suggested}]"
            if st.checkbox(label, value=each.best, key=f"use-{each.key}", width="stretch"):
                chosen.append(each)
            st.html(
                f'<div class="c-scored"><span>{blocks.score(each.score)}</span>'
                f"{blocks.bar(each.score)}</div>",
                width=96,
            )
    return chosen


def preview(page: Page, failures: Failures, chosen: list[Offered]) -> tuple[GroupSize, ...]:
    """Return the groups that the phrases make; worked out once a session."""
    runs = sorted(each.run for each in chosen)
    key = f"groups-{failures.model.run_id}-{'-'.join(runs)}"
    if key not in st.session_state:
        st.session_state[key] = groups_preview(
            page.project,
            failures,
            kept_descriptions(page.project, failures.model, runs),
            train=page.desk.split("train", failures.model),
        )
    found: tuple[GroupSize, ...] = st.session_state[key]
    return found


def draw_part(failures: Failures) -> tuple[str, Schedule | None]:
    """Draw what of a network changes; of a head on features that were not trained, the head."""
    if not failures.model.is_network:
        return "head", None
    what, often = st.columns([2, 1])
    words = {row.example: row.words for row in PARTS.values()}
    part = str(what.selectbox("What changes", list(words), format_func=words.__getitem__))
    if not PARTS[part].network:
        return part, None
    epochs = often.number_input("Epochs", 1, 200, RETRAINING.epochs, help=EPOCHS_HELP)
    return part, dataclasses.replace(RETRAINING, epochs=int(epochs))


def draw_ways() -> dict[str, Any]:
    """Draw what else may be done with the phrases, folded away."""
    with st.expander("More ways"):
        erase = st.selectbox(
            "Take out first",
            list(ERASURES),
            key="erase",
            help=ERASE_HELP,
            format_func=lambda name: ERASURES[name].words,
        )
        refit = st.checkbox("Fit the images people looked at, too", key="refit", help=REFIT_HELP)
        select = st.selectbox(
            "Chosen by",
            [name for name, row in SELECTIONS.items() if not row.rule.oracle],
            key="select",
            help=SELECT_HELP,
            format_func=lambda name: SELECTIONS[name].words,
        )
    return {"erase": erase, "refit": refit, "select": select}


def press(page: Page, failures: Failures, chosen: list[Offered], recipe: Recipe) -> None:
    """Start what was chosen."""
    request = Request(
        data_set=page.project.manifest.name,
        manifest=page.project.manifest.digest,
        base=failures.model.run_id,
        descriptions=tuple(each.run for each in chosen),
        recipe=recipe,
        encoder=page.project.encoder.name,
        backbone=page.project.backbone_name,
    )
    try:
        if not start(page.project, request, tuple((each.class_name, each.phrase) for each in chosen)):
            st.toast("This was asked for before: it is on the right.")
    except ClarifyError as error:
        refuse(error)


def draw_details(failures: Failures) -> None:
    """Tell what is chosen without being asked for."""
    with st.expander("Details"):
        st.html(
            blocks.muted(
                "One retraining runs at a time, in a process of its own: close the "
                "page, come back, it goes on."
            )
        )
        st.html(blocks.muted(f"Base model: {failures.model.name}, run {failures.model.run_id}"))


draw(current())
