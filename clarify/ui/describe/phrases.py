"""The phrases of a class on the page: tried now, tried by anybody, kept, and what they would do."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import streamlit as st

from clarify.errors import ClarifyError
from clarify.track.runs import DescriptionRun
from clarify.ui.describe.cuts import cut_now
from clarify.ui.pieces.page import Page
from clarify.workflow.describe.phrases import TriedPhrase, try_phrase
from clarify.workflow.describe.recording import (
    attach_pictures,
    keep_phrase,
    kept_by,
    record_phrase,
    take_back,
)
from clarify.workflow.describe.tries import phrases_searched

if TYPE_CHECKING:
    from clarify.method.phrases.descriptions import Description
    from clarify.workflow.model.failures import Failures

__all__ = [
    "Listed",
    "keep",
    "own_kept",
    "phrases_of",
    "suggestions",
    "tried_now",
    "undo",
    "wants_suggestions",
]


MOST_SUGGESTIONS = 6


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A phrase in the list; its score says nothing where there is a caution."""

    phrase: str
    by: str
    score: float
    kept: bool
    caution: str = ""


def phrases_of(page: Page, failures: Failures, class_name: str) -> list[Listed]:
    """Return each phrase that was tried on a class once, best first, those whose score says nothing last."""
    best: dict[str, Listed] = {}
    for run in _recorded(page, failures, class_name):
        listed = Listed(phrase=run.phrase, by=run.by, score=run.score, kept=run.kept, caution=run.caution)
        before = best.get(listed.phrase)
        if before is None or (listed.kept and not before.kept):
            best[listed.phrase] = listed
    for (name, _), tried in _own(failures).items():
        phrase = tried.description.phrase
        if name == class_name and phrase not in best:
            best[phrase] = Listed(
                phrase=phrase,
                by=page.visitor.name,
                score=tried.evidence.score.value,
                kept=False,
                caution=tried.caution,
            )
    return sorted(best.values(), key=lambda each: (bool(each.caution), -each.score))


def tried_now(page: Page, failures: Failures, class_name: str, text: str) -> TriedPhrase | None:
    """Return what came of a phrase; None for an empty field. A new one is recorded as tried.

    The cut is the best one, or where this visitor moved it; its p-value counts all tries by now.

    Raises ClarifyError as `try_phrase`.
    """
    if not text.strip():
        return None
    own = _own(failures)
    key = (class_name, " ".join(text.split()))
    known = {run.phrase for run in _recorded(page, failures, class_name)}
    known |= {each.description.phrase for (name, _), each in own.items() if name == class_name}
    known |= {key[1] if key not in own else own[key].description.phrase}
    tries = len(known) + phrases_searched(page.project, failures.model, class_name)
    if key not in own:
        own[key] = try_phrase(page.project, failures, class_name, text, n_tried=tries)
        page.desk.later(functools.partial(record_phrase, page.project, failures, own[key], keep=False))
    tried = own[key].after(tries)
    # The slider puts the best cut into the session by itself, which is nobody's choice.
    cut = cut_now(tried, own_kept(page, failures, tried))
    return tried if cut == tried.description.threshold else tried.cut_at(cut)


def keep(page: Page, failures: Failures, tried: TriedPhrase, *, note: str) -> None:
    """Keep a phrase, once however often; it is in the store, or in the outbox, when this returns."""
    kept, new = keep_phrase(
        page.project,
        failures,
        tried,
        note=note,
        # It decides what a retraining takes by itself: it is known before the person goes on.
        gain=lambda what: _gain(page, failures, what),
        said=lambda: page.desk.runs(DescriptionRun),
    )
    if new:
        page.desk.later(functools.partial(attach_pictures, page.project, failures, kept))
        page.desk.look_again()
    where = " It waits here until the tracking store is back." if kept.waiting else ""
    st.toast(f"Kept.{where}")


def _gain(page: Page, failures: Failures, what: Description) -> float | None:
    """Return what retraining with it gains; None where nothing can be retrained."""
    if failures.model.head is None:
        return None
    try:
        _, gain = page.desk.preview(failures, what)
    except ClarifyError:
        return None
    return gain


def own_kept(page: Page, failures: Failures, tried: TriedPhrase) -> DescriptionRun | None:
    """Return the run in which this visitor kept a phrase, if they did."""
    said = page.desk.runs(DescriptionRun)
    return next(iter(kept_by(page.visitor.name, failures.model, tried.description, said)), None)


def undo(page: Page, run: DescriptionRun) -> None:
    """Take back what this visitor kept."""
    take_back(page.project, run.id, said=lambda: page.desk.runs(DescriptionRun))
    page.desk.look_again()
    st.toast("Taken back: it stays in the list as one that was tried.")


def wants_suggestions(page: Page, failures: Failures, class_name: str) -> bool:
    """Whether the visitor has tried a phrase of their own, so that the machine's do not lead."""
    mine = [run for run in _recorded(page, failures, class_name) if run.by == page.visitor.name]
    return bool(mine) or any(name == class_name for name, _ in _own(failures))


def suggestions(page: Page, failures: Failures, class_name: str) -> list[tuple[str, str]] | str | None:
    """Return the machine's confirmed phrases with what each gains, most first, or why there are none.

    None while it is searching.
    """
    found = page.desk.suggestions(failures, class_name)
    if found is None or isinstance(found, str):
        return found
    confirmed = [each for each in found.items if each.evidence.confirmed and not each.copies]
    return [
        (each.said, f"{100 * each.gain.classes:+.1f}" if each.gain else "")
        for each in confirmed[:MOST_SUGGESTIONS]
    ]


def _recorded(page: Page, failures: Failures, class_name: str) -> list[DescriptionRun]:
    return [
        run
        for run in page.desk.runs(DescriptionRun)
        if (run.class_name, run.parent) == (class_name, failures.model.run_id)
    ]


def _own(failures: Failures) -> dict[tuple[str, str], TriedPhrase]:
    """Return what this session tried on a model, by class and text."""
    found: dict[tuple[str, str], TriedPhrase] = st.session_state.setdefault(
        f"tried-{failures.model.run_id}", {}
    )
    return found
