"""Describe: what is kept, with which cut and note, once, and taken back by who kept it."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.track.mlflow import TrackingStore
from clarify.track.run import StoredRun
from clarify.track.runs import DescriptionRun
from clarify.ui.server import desk
from clarify.ui.server.shared import shared
from clarify.workflow.describe.recording import kept_descriptions
from clarify.workflow.model.models import open_model
from tests.conftest import DATA_SET
from tests.pages.conftest import Visit, html_of
from tests.pages.test_describe import (
    Clarify,
    after,
    button,
    describe,
    kept,
    kept_runs,
    labels,
    move,
    shown_score,
    tried_on,
)


def test_keeping_is_in_the_store_when_the_page_says_so_and_can_be_taken_back(
    visit: Visit, clarify: Clarify, home: Path
) -> None:
    page = after(describe(visit), "land")
    page = button(page, "Keep it")
    assert "Kept." in page.toast[0].value
    assert any(each.label == "Kept · undo" for each in page.button)
    project = open_project(Settings(home=home), DATA_SET)
    (first,) = (
        run for run in project.tracking.runs(DATA_SET, DescriptionRun) if run.phrase == "land" and run.kept
    )
    assert first.gain is not None  # retraining's default stands on it: it is there at once
    assert kept(clarify, "waterbird: land")
    until = time.monotonic() + 60
    while "without.png" not in project.tracking.files(first.id) and time.monotonic() < until:
        time.sleep(0.1)  # what nobody waits for follows
    assert {"with.png", "without.png"} <= set(project.tracking.files(first.id))
    page = button(page, "Kept · undo")
    assert not kept(clarify, "waterbird: land")


def test_keeping_and_taking_back_read_no_phrase_that_others_keep(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = after(describe(visit), "land")
    read, whole = TrackingStore.stored, []

    def counted(store: TrackingStore, data_set: str, *, kind: str) -> list[StoredRun]:
        whole.append(kind)
        return read(store, data_set, kind=kind)

    monkeypatch.setattr(TrackingStore, "stored", counted)
    page = button(page, "Keep it")
    page = button(page, "Kept · undo")
    assert any(each.label == "Keep it" for each in page.button)
    assert "description" not in whole  # a store of a thousand takes seconds


def test_only_who_kept_a_phrase_is_offered_to_take_it_back(visit: Visit) -> None:
    page = after(describe(visit, reviewer="Grace"), "forest")  # kept by Ada
    assert not any(each.label == "Kept · undo" for each in page.button)


def test_a_cut_that_was_moved_stays_while_another_phrase_is_looked_at_and_is_what_is_recorded(
    visit: Visit, home: Path
) -> None:
    page = after(describe(visit), "meadow")
    best = shown_score(page)
    cut, score = move(page), shown_score(page)
    assert score != best
    after(page, "lake")
    after(page, "meadow")
    assert (page.slider[0].value, shown_score(page)) == (pytest.approx(cut), score)
    halves = re.findall(r"<span>([\d.]+)% right", html_of(page))
    button(page, "Keep it")
    (run,) = kept_runs(home, "meadow")
    assert f"{run.score:.2f}" == score
    assert run.threshold == pytest.approx(cut, rel=1e-5)
    figures = run.figures("validation")
    assert [f"{100 * figures[each]:.1f}" for each in ("without_accuracy", "with_accuracy")] == halves
    project = open_project(Settings(home=home), DATA_SET)
    (said,) = kept_descriptions(project, open_model(project, None), [run.id])
    found, _ = shared().desks.desk(DATA_SET).preview(shared().desks.desk(DATA_SET).failures(), said)
    assert said.threshold == run.threshold == found[0].cut  # preview and retraining cut at the very place


def test_keeping_twice_keeps_once_and_another_cut_or_note_takes_its_place(visit: Visit, home: Path) -> None:
    page = after(describe(visit), "land")
    button(page, "Keep it")
    assert "Kept · undo" in labels(page)
    assert "Keep it" not in labels(page)
    (first,) = kept_runs(home, "land")
    again = after(describe(visit), "land")  # another session of the same person
    assert "Keep it" not in labels(again)
    move(again)
    button(again, "Keep it")
    (second,) = kept_runs(home, "land")
    assert second.id != first.id
    assert second.threshold != first.threshold
    again.text_area(key="note-waterbird-land").set_value("at the shore").run()
    button(again, "Keep it")
    (third,) = kept_runs(home, "land")
    assert (third.note, third.threshold) == ("at the shore", second.threshold)
    fresh = after(describe(visit), "land")
    assert fresh.slider[0].value == pytest.approx(third.threshold)  # where this person keeps it
    assert fresh.text_area(key="note-waterbird-land").value == "at the shore"
    button(fresh, "Kept · undo")
    assert kept_runs(home, "land") == []


def test_a_note_belongs_to_its_phrase_and_the_page_says_that_it_waits(visit: Visit, home: Path) -> None:
    page = after(describe(visit), "land")
    page.text_area(key="note-waterbird-land").set_value("sand under its feet").run()
    assert "A note to it waits for Keep it: “sand under its feet”" in html_of(page)
    after(page, "lake")
    assert page.text_area(key="note-waterbird-lake").value == ""
    assert "waits for Keep it" not in html_of(page)
    button(page, "Keep it")
    after(page, "land")
    assert page.text_area(key="note-waterbird-land").value == "sand under its feet"
    button(page, "Keep it")
    assert "waits for Keep it" not in html_of(page)
    assert [run.note for phrase in ("lake", "land") for run in kept_runs(home, phrase)] == [
        "",
        "sand under its feet",
    ]


def test_a_preview_that_two_ask_for_at_once_is_worked_out_once(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who keeps a phrase before its preview is shown waits for it, in place of working it out again."""
    page = describe(visit)
    after(page, "meadow")
    said, shared_desk = tried_on(page, "meadow"), shared().desks.desk(DATA_SET)
    shared_desk._previews.clear()
    works_out, worked, both = desk.retrained, [], Barrier(2)

    def retrained(*args: Any) -> Any:
        worked.append(args)
        time.sleep(0.5)
        return works_out(*args)

    def ask(_: int) -> object:
        both.wait()
        return shared_desk.preview(shared_desk.failures(), said)

    monkeypatch.setattr(desk, "retrained", retrained)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(ask, range(2))
    assert one is two
    assert len(worked) == 1
