"""The champion as a card: since when, by whom, why, its numbers, its origin, how to load it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import streamlit as st

from clarify.errors import ClarifyError
from clarify.track.record import metric_keys
from clarify.ui.compare.model_table import day, minute
from clarify.ui.pieces import blocks
from clarify.ui.pieces.page import Page, refuse
from clarify.ui.registry.actions import by_run, checks, lineage_of, run_title
from clarify.workflow.decide.champions import snippet
from clarify.workflow.decide.compare import worst_halves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify.track.runs import ModelRun, TrainedRun
    from clarify.workflow.decide.champions import Lineage, RegistryState

__all__ = ["draw_beside", "draw_champion"]

FEW_CLASSES = 6
"""Up to so many classes, each has a row."""

FIGURES = {"average_accuracy": "average", "worst_group_accuracy": "worst group"}


def draw_champion(page: Page, found: RegistryState) -> None:
    """Draw the champion: since when, by whom, why, its numbers, its origin, how to load it."""
    if found.champion is None:
        st.html(blocks.empty("Nothing was promoted yet.", "Choose a model that the gate passes."))
        return
    event, champion = found.crowning, found.champion
    if event is not None:
        back = "rolled back" if event.action == "rollback" else "promoted"
        said, why = f"Champion since {minute(event.at)}, {back} by {event.by}.", event.note
    else:
        said = f"Registered on {day(champion.at)} by {champion.by}; no history tells who made it "
        said, why = said + "champion.", champion.note
    st.html(blocks.muted(said) + (f'<div class="c-note">“{blocks.cell(why)}”</div>' if why else ""))
    try:
        origin = lineage_of(page, champion.run_id)
    except ClarifyError as error:
        refuse(error)
        return
    st.html(
        "".join(
            blocks.chip(f"{each.description.class_name}: {each.description.phrase}")
            for each in origin.described
        )
    )
    _draw_numbers(page, found, origin)
    st.html(blocks.muted("Load it by its name:"))
    st.code(snippet(page.project), language="python", wrap_lines=True)
    overruled = champion.verdict.overruled
    if overruled:
        st.html(blocks.muted(f"The gate refused it, and was overruled: {overruled}"))
    with st.expander("Why the gate refused it" if overruled else "Why the gate passed it"):
        st.html(checks(champion.verdict))
    with st.expander("Where it comes from"):
        _draw_lineage(origin)


def draw_beside(page: Page, found: RegistryState, run: ModelRun) -> None:
    """Draw a candidate beside the base model and the champion that it would replace; say if it is worse."""
    runs = by_run(page)
    champion = found.champion if found.champion and found.champion.run_id != run.id else None
    columns = {"base": runs.get(run.parent)}
    if champion is not None:
        columns[f"champion, v{champion.version}"] = runs.get(champion.run_id)
    table = figures_beside(page, [*columns.values(), run])
    against = -2 if champion is not None else 0
    rows = [
        [
            blocks.cell(name),
            *(blocks.percent(each) for each in values[:-1]),
            f"<b{' class=c-loses' if _is_less(values, against) else ''}>{blocks.percent(values[-1])}</b>",
        ]
        for name, values in table.items()
    ]
    st.html(blocks.table(["On validation", *columns, "this one"], rows))
    worse = [
        f"{name} {blocks.percent(values[-2])} to {blocks.percent(values[-1])}"
        for name, values in table.items()
        if champion is not None and _is_less(values, -2)
    ]
    if worse:
        st.html(f'<div class="c-pays">Worse than the champion: {blocks.cell(", ".join(worse))}.</div>')


def figures_beside(page: Page, runs: Sequence[TrainedRun | None]) -> dict[str, list[float | None]]:
    """Return by name the figures of several models, the one that it is about last; None where not known.

    Described halves are those of the last.
    """
    *others, last = runs
    measured = [each.figures("validation") if each else {} for each in runs]
    found = {what: [of.get(key) for of in measured] for key, what in FIGURES.items()}
    if last is not None:
        halves = [_halves(page, last, each) for each in others]
        found["worst described half"] = [*(before for _, before in halves), halves[0][0]]
    classes = page.desk.project.manifest.classes
    for name in classes if len(classes) <= FEW_CLASSES else ():
        (key,) = metric_keys("validation", {f"class_accuracy/{name}": 0.0})
        found[name] = [of.get(key.removeprefix("validation/")) for of in measured]
    return {what: values for what, values in found.items() if values[-1] is not None}


def _is_less(values: Sequence[float | None], than: int) -> bool:
    before, now = values[than], values[-1]
    return before is not None and now is not None and now < before


def _draw_numbers(page: Page, found: RegistryState, origin: Lineage) -> None:
    """Draw the champion's figures on validation against the one before, or against the base."""
    earlier = found.version(found.before) if found.before else None
    run = by_run(page).get(earlier.run_id) if earlier else origin.base
    name = f"version {earlier.version}" if earlier else "base model"
    rows = [
        [blocks.cell(what), blocks.percent(before), f"<b>{blocks.percent(now)}</b>"]
        for what, (before, now) in figures_beside(page, [run, origin.run]).items()
    ]
    st.html(blocks.table(["On validation", name, "now"], rows))


def _halves(page: Page, run: TrainedRun, other: TrainedRun | None) -> tuple[float | None, float | None]:
    """Return a model's worst described half, and what another comes to on the same halves."""
    try:
        now, before = worst_halves(page.desk.project, run, other or run, "validation")
        return now, before if other else None
    except ClarifyError:  # a file is gone, or away: the other figures are drawn without
        return None, None


def _draw_lineage(origin: Lineage) -> None:
    """Draw from the model down to the phrases and their authors."""
    run, base = origin.run, origin.base
    how = run.objective.replace("_", " ")
    steps = [f"Retrained by {run.by} on {day(run.started)}, objective {how}"]
    if base is None:
        steps.append("from a base model that is gone")
    else:
        steps.append(f"from {run_title(base).lower()} by {base.by}, {day(base.started)}")
    st.html(blocks.muted(", ".join(steps) + "."))
    cells = [
        [
            f"<b>{blocks.cell(what.phrase)}</b><br><small>{blocks.cell(what.class_name)}"
            f"{blocks.cell(': ' + what.note) if what.note else ''}</small>",
            blocks.cell(what.author),
            blocks.score(each.score),
            blocks.cell(day(round(1000 * datetime.fromisoformat(what.created_at).timestamp()))),
        ]
        for each in origin.described
        for what in [each.description]
    ]
    st.html(blocks.table(["Phrase", "by", "score", "on"], cells))
    facts = {
        "Data set": f"{origin.data_set}, {origin.digest[:12]}",
        "Encoder": origin.encoder[:12],
        "Backbone": origin.backbone[:12],
        "Clarify": origin.code_version,
        "Run": run.id,
        "Base run": base.id if base else "–",
    }
    st.html(
        blocks.table(
            ["Details", ""],
            [[blocks.cell(name), f"<code>{blocks.cell(value)}</code>"] for name, value in facts.items()],
        )
    )
