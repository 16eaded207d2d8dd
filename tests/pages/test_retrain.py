"""The Retrain page: what goes in, the groups it makes, what runs and what ran."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from clarify.track.mlflow import TrackingStore
from clarify.track.runs import BaseRun, DescriptionRun, ModelRun
from clarify.ui.retrain.outcomes import lines_html
from clarify.workflow.jobs.files import Job, JobFolder, JobStatus, Request, locked, now
from clarify.workflow.jobs.queue import cancel, jobs
from clarify.workflow.model.recipe import Recipe
from tests.conftest import DATA_SET, Done
from tests.pages.conftest import Visit, html_of

SOON_S = 120.0


@pytest.fixture(autouse=True)
def nothing_outlives_its_test(home: Path) -> Iterator[None]:
    yield
    for job in jobs(home):
        if job.active:
            cancel(home, job.digest)
    last = time.monotonic() + SOON_S
    while any(JobFolder(home, job.digest).lives() for job in jobs(home)):
        assert time.monotonic() < last
        time.sleep(0.05)


def button(page: AppTest, label: str) -> Button:
    (found,) = [each for each in page.button if each.label == label]
    return found


def pretend(home: Path, state: str, *, by: str = "Ada", phrase: str = "water", **how: object) -> Job:
    """Write a job as its process would have left it."""
    request = Request(
        data_set=DATA_SET,
        manifest="0" * 64,
        base="1" * 32,
        descriptions=(phrase,),
        recipe=Recipe(),
        encoder="small-clip",
        backbone="",
    )
    status = JobStatus(state=state, at=now(), **how)  # type: ignore[arg-type]
    job = Job(request=request, phrases=(("landbird", phrase),), by=by, asked_at=now(), status=status)
    folder = JobFolder(home, job.digest)
    folder.path.mkdir(parents=True)
    folder.write(job)
    return job


def test_the_first_visit_says_what_to_do(visit: Visit) -> None:
    page = visit("retrain")
    assert not page.exception
    assert "Nothing was retrained here yet." in html_of(page)
    assert "2 phrases kept for 2 classes" in html_of(page)
    assert not button(page, "Retrain").disabled


def test_without_a_kept_phrase_the_page_says_what_comes_first(visit: Visit, home: Path) -> None:
    store = TrackingStore(home)
    for run in store.runs(DATA_SET, DescriptionRun):
        store.retag(run.id, "kept", "false")
    page = visit("retrain")
    assert not page.exception
    assert "No phrase is kept yet." in html_of(page)
    assert not [each for each in page.button if each.label == "Retrain"]


def test_the_best_phrase_of_each_class_is_chosen_and_the_others_can_be(
    visit: Visit, clarify: Callable[..., Done]
) -> None:
    clarify("describe", DATA_SET, "waterbird", "snow", "--reviewer", "Bo")
    clarify("describe", DATA_SET, "waterbird", "forest", "--reviewer", "Bo")
    page = visit("retrain")
    phrases = [each for each in page.checkbox if ":gray[" in each.label]
    assert {each.label: each.value for each in phrases} == {
        "water :gray[Ada]": True,
        "forest :gray[Bo, Ada]": True,
        "snow :gray[Bo]": False,
    }
    assert "waterbird · with forest" in html_of(page)
    phrases[-1].check().run()
    assert not page.exception
    assert "snow" in html_of(page).split("to train · to check")[1]


def test_the_groups_and_that_training_images_are_checked_for_tiny_ones_are_shown(visit: Visit) -> None:
    shown = html_of(visit("retrain"))
    assert "waterbird · without forest" in shown
    assert "to train · to check" in shown
    assert shown.count("the gate judges training images, too") == 1


def test_without_a_choice_there_is_nothing_to_start(visit: Visit) -> None:
    page = visit("retrain")
    for each in page.checkbox:
        each.uncheck()
    page.run()
    assert "Choose at least one phrase." in html_of(page)
    assert button(page, "Retrain").disabled


def test_a_retraining_is_started_seen_by_another_session_and_done(visit: Visit, home: Path) -> None:
    page = visit("retrain")
    (home / "jobs").mkdir()
    turn = locked(home / "jobs" / "turn")
    assert turn is not None
    button(page, "Retrain").click().run()
    assert not page.exception
    assert button(page, "Cancel")
    other = visit("retrain", reviewer="Bo")
    assert "Ada · just now" in html_of(other)
    button(other, "Retrain").click().run()  # the same: no second job
    assert "asked for before" in other.toast[0].value
    (job,) = jobs(home, DATA_SET)
    # What the page has open, though nobody named it: it may be another one when the job begins.
    assert (job.request.encoder, job.request.backbone) == ("small-clip", "")
    os.close(turn)
    last = time.monotonic() + SOON_S
    while JobFolder(home, job.digest).read().active:
        assert time.monotonic() < last
        time.sleep(0.1)
    for each in (page, other):
        each.run()
        assert not each.exception
        assert "worst described half" in html_of(each)
        assert "Loss of each group" in html_of(each)
        assert not [found for found in each.button if found.label == "Cancel"]
    assert len(TrackingStore(home).runs(DATA_SET, ModelRun)) == 1


def test_a_job_at_work_shows_how_far_it_is_and_can_be_cancelled(visit: Visit, home: Path) -> None:
    losses = {"landbird": [0.69, 0.2], "waterbird · with forest": [0.69, 0.4]}
    job = pretend(home, "running", step=9, steps=18, message="It fits heads.", losses=losses)
    held = locked(JobFolder(home, job.digest).lock)
    assert held is not None
    try:
        page = visit("retrain")
        assert not page.exception
        assert "50%" in html_of(page)
        assert "0.40 waterbird · with forest" in html_of(page)
        button(page, "Cancel").click().run()
        assert JobFolder(home, job.digest).cancel.exists()
        assert "It is being stopped." in html_of(page)
    finally:
        os.close(held)


def test_what_is_not_corrected_is_said_beside_the_figures(
    visit: Visit, home: Path, clarify: Callable[..., Done]
) -> None:
    told = "<b>Not corrected: landbird, waterbird; without the phrases the same judged images are right</b>"
    for phrase, ways in (("water", ()), ("forest", ("--objective", "erm", "--refit"))):
        run = clarify("retrain", DATA_SET, *ways, "--json").result["run"]
        pretend(home, "done", phrase=phrase, run=run)
    page = visit("retrain")
    assert not page.exception
    assert html_of(page).count("worst described half") == 2
    assert html_of(page).count(told) == 1


@pytest.mark.parametrize(
    ("state", "message", "said"),
    [
        ("running", "", "It was killed before it ended.</b> The machine was stopped"),
        ("failed", "class 'landbird': no image is on one side", "It could not be done.</b> Class"),
        (
            "cancelled",
            "It was cancelled; nothing is recorded.",
            '<div class="c-ended">It was cancelled; nothing',
        ),
    ],
)
def test_how_a_job_ended_is_said_in_a_sentence_with_the_next_step(
    visit: Visit, home: Path, state: str, message: str, said: str
) -> None:
    pretend(home, state, message=message)
    page = visit("retrain")
    assert not page.exception
    assert said in html_of(page)
    assert button(page, "Start again")


def test_what_people_write_is_shown_as_text(visit: Visit, home: Path, clarify: Callable[..., Done]) -> None:
    evil = "<script>alert(1)</script>"
    clarify("describe", DATA_SET, "waterbird", "**bold** $x$", "--reviewer", evil)
    pretend(home, "failed", by=evil, phrase=evil, message=evil)
    page = visit("retrain")
    assert not page.exception
    assert evil not in html_of(page)
    assert html_of(page).count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3
    (label,) = [each.label for each in page.checkbox if "bold" in each.label]
    assert label.startswith("\\*\\*bold\\*\\* \\$x\\$")
    assert evil not in label
    assert evil not in lines_html({evil: [0.5, 0.4]})


def test_a_home_without_a_base_model_says_the_next_step(visit: Visit, home: Path) -> None:
    store = TrackingStore(home)
    for run in store.runs(DATA_SET, BaseRun):
        store.client.delete_run(run.id)
    page = visit("retrain")
    assert not page.exception
    assert "clarify train" in html_of(page)


def test_a_phrase_that_parts_nothing_is_refused_before_it_is_started(visit: Visit, home: Path) -> None:
    store = TrackingStore(home)
    for run in store.runs(DATA_SET, DescriptionRun):
        path = store.artifact_folder(run.id) / "description.json"
        told = json.loads(path.read_text())
        path.write_text(json.dumps({**told, "threshold": 9.0, "fixed_cut": True}))
    page = visit("retrain")
    assert not page.exception
    assert "move the threshold" in page.error[0].value
    assert button(page, "Retrain").disabled


def test_labels_of_lines_that_end_together_do_not_cover_one_another() -> None:
    shown = lines_html({name: [0.7, 0.1] for name in "abcd"})
    tops = sorted(float(part.split("%")[0]) for part in shown.split("top:")[1:])
    assert all(after - before >= 12.9 for before, after in itertools.pairwise(tops))
    assert tops[-1] <= 100.1


def test_other_ways_are_chosen_and_go_into_the_job(visit: Visit, home: Path) -> None:
    def chosen(label: str) -> Any:
        return next(each for each in page.selectbox if each.label == label)

    page = visit("retrain")
    assert "Every image alike" not in chosen("What counts most").options
    chosen("Take out first").select("What the halves differ in on average").run()
    page.checkbox(key="refit").check().run()
    chosen("Chosen by").select("The worst class").run()
    assert not page.exception
    chosen("What counts most").select("Every image alike").run()
    next(each for each in page.button if each.label == "Retrain").click().run()
    assert not page.exception
    (job,) = jobs(home, DATA_SET)
    assert job.request.recipe == Recipe(
        objective="erm", erase="mean_difference", refit=True, select="worst_class"
    )
    told = html_of(page)
    assert "mean difference taken out, fitted to validation too, by worst class" in told


def test_what_was_retrained_elsewhere_is_listed_with_what_it_came_to(
    visit: Visit, home: Path, clarify: Callable[..., Done]
) -> None:
    clarify("retrain", DATA_SET, "--reviewer", "Lin")
    page = visit("retrain")
    assert not page.exception
    told = html_of(page)
    assert "Nothing was retrained here yet." not in told
    assert "Lin · just now" in told
    assert "not from this page" in told
    assert told.count("worst described half") == 1
    (run,) = TrackingStore(home).runs(DATA_SET, ModelRun)
    pretend(home, "done", run=run.id)  # from this page after all: once
    again = html_of(visit("retrain"))
    assert again.count("worst described half") == 1
    assert "not from this page" not in again
