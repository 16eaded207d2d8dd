"""The Describe page: what it shows of a class, and what a phrase changes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.data.manifest import open_manifest
from clarify.method.phrases.descriptions import Description
from clarify.track.runs import DescriptionRun
from clarify.ui.describe import halves
from clarify.ui.describe.phrases import phrases_of
from clarify.ui.pieces import page as page_module
from clarify.ui.pieces.gallery import Picture
from clarify.ui.pieces.page import Page
from clarify.ui.pieces.page import apologise as APOLOGISE
from clarify.ui.server.shared import shared
from clarify.ui.server.visitors import visitor
from clarify.workflow.describe.recording import kept_descriptions
from clarify.workflow.describe.tries import descriptions_said
from clarify.workflow.model.models import open_model
from clarify.workflow.retrain.preview import who_pays
from tests.conftest import DATA_SET, Done, captioned_by_place
from tests.pages.conftest import Visit, html_of

Clarify = Callable[..., Done]
SCRIPT = "<script>alert(1)</script>"


def describe(visit: Visit, name: str = "waterbird", **options: str) -> AppTest:
    page = visit("describe", **{"class": name}, **options)
    assert not page.exception
    return page


def after(page: AppTest, phrase: str) -> AppTest:
    page.text_input(key="phrase").set_value(phrase).run()
    assert not page.exception
    return page


def button(page: AppTest, label: str) -> AppTest:
    next(each for each in page.button if each.label == label).click().run()
    assert not page.exception
    return page


def kept(clarify: Clarify, phrase: str) -> bool:
    """Whether a phrase is among those that a retraining would take by itself."""
    return phrase in clarify("retrain", DATA_SET).out


def tried_on(page: AppTest, phrase: str) -> Description:
    """Return what the page's session tried on waterbirds."""
    run = shared().desks.desk(DATA_SET).failures().model.run_id
    found: Description = page.session_state[f"tried-{run}"]["waterbird", phrase].description
    return found


def test_a_class_is_shown_by_its_right_and_wrong_images(visit: Visit) -> None:
    html = html_of(describe(visit))
    assert "100 validation images" in html
    assert '<div class="c-name">right</div>' in html
    assert '<div class="c-name">wrong</div>' in html
    assert "mostly taken for landbird" in html or "all taken for landbird" in html


def test_a_phrase_is_scored_splits_the_class_and_shows_what_retraining_would_do(visit: Visit) -> None:
    page = after(describe(visit), "meadow")
    for _ in range(60):
        if "If retrained with it" in html_of(page):
            break
        time.sleep(0.2)
        page.run()
    html = html_of(page)
    assert "If retrained with it" in html
    found, _ = (
        shared()
        .desks.desk(DATA_SET)
        .preview(shared().desks.desk(DATA_SET).failures(), tried_on(page, "meadow"))
    )
    classes = [each for each in found if each.whole]
    assert classes
    for each in classes:  # a row a class that changes, a loss in the colour of wrong
        assert f"<td>{each.name}</td>" in html
    assert html.count("<b class=c-loses>") == sum(each.gain < 0 for each in found)
    assert who_pays(found) in html
    assert "without meadow" in html
    assert "with meadow" in html
    assert "95% interval" in html
    assert "How much each waterbird looks like “meadow”" in html


def test_a_phrase_that_was_tried_is_recorded_even_if_the_server_is_stopped_at_once(
    visit: Visit, clarify: Clarify
) -> None:
    after(describe(visit, reviewer="Grace"), "meadow")
    shared().desks.close()  # as the server does when it is stopped
    found = clarify("score", DATA_SET, "waterbird", "lake", "--json").result
    assert found["evidence"]["n_tried"] >= 3  # forest was kept, meadow tried, and this one


def test_the_threshold_moves_the_split_and_the_score_is_of_the_moved_cut(visit: Visit) -> None:
    page = after(describe(visit), "meadow")
    (slider,) = page.slider
    before = html_of(page)
    slider.set_value((slider.min + slider.value) / 2).run()
    assert not page.exception
    moved = html_of(page)
    big = '<b class="c-big">'
    best, now = (each.partition(big)[2][:4] for each in (before, moved))
    assert float(now) < float(best)
    assert f"the best one scores {best}" in moved
    assert "the best one scores" not in before


def test_a_threshold_that_nobody_moved_stays_the_best_cut_when_the_page_runs_again(
    visit: Visit, home: Path
) -> None:
    def doubts(page: AppTest) -> str:
        return html_of(page).partition("95% interval")[2].partition("</div>")[0]

    page = after(describe(visit), "meadow")
    first = doubts(page)
    assert first
    assert doubts(page.run()) == first
    button(page, "Keep it")
    project = open_project(Settings(home=home), DATA_SET)
    model = open_model(project, None)
    (run,) = [
        each.id for each in descriptions_said(project, model) if (each.phrase, each.kept) == ("meadow", True)
    ]
    (said,) = kept_descriptions(project, model, [run])
    assert not said.fixed_cut


def test_see_original_brings_the_first_view_back(visit: Visit) -> None:
    page = button(after(describe(visit), "meadow"), "See original data")
    assert '<div class="c-name">wrong</div>' in html_of(page)
    assert "with meadow" not in html_of(page)


def test_the_machines_phrases_are_hidden_until_one_of_ones_own_was_tried(visit: Visit) -> None:
    page = describe(visit, reviewer="Grace")
    assert "The machine suggests" not in html_of(page)
    assert "The machine suggests" in html_of(after(page, "meadow"))


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [("water AND", "AND"), ("вода", "Latin letter"), ("1234 !!", "letter"), ("a" * 290, "")],
)
def test_a_phrase_that_cannot_be_used_is_refused_in_one_sentence(
    visit: Visit, phrase: str, expected: str
) -> None:
    page = after(describe(visit), phrase)
    if page.error:
        assert expected in page.error[0].value
    else:
        assert expected == ""


def test_an_unknown_class_is_told_with_the_nearest(visit: Visit) -> None:
    html = html_of(visit("describe", **{"class": "waterbrid"}))
    assert "nearest: waterbird" in html


def test_a_class_without_wrong_images_says_that_there_is_nothing_to_explain(
    visit: Visit, clarify: Clarify, home: Path, tmp_path: Path
) -> None:
    table = open_manifest(home, DATA_SET).table.select("id", predicted="label")
    table.write_csv(tmp_path / "predictions.csv")
    done = clarify("predictions", "import", DATA_SET, str(tmp_path / "predictions.csv"))
    assert done.status == 0
    page = describe(visit)
    assert "none wrong" in html_of(page)
    assert "none wrong" in after(page, "water").error[0].value


def test_scripts_in_phrases_names_and_notes_are_shown_as_text(
    visit: Visit, clarify: Clarify, home: Path
) -> None:
    said = clarify("describe", DATA_SET, "waterbird", "lake", "--note", SCRIPT, "--reviewer", SCRIPT)
    assert said.status == 0
    page = after(describe(visit, reviewer=SCRIPT), f"lake {SCRIPT}")
    assert "<script" not in html_of(page)
    assert "&lt;script&gt;" in html_of(page)  # the reviewer's name in the sidebar


def test_captions_stand_under_the_pictures_as_text_and_may_come_while_the_page_is_open(
    visit: Visit, clarify: Clarify, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Picture] = []

    def gallery(pictures: list[Picture], **options: object) -> None:
        drawn[:] = [*drawn, *pictures]

    monkeypatch.setattr(halves, "gallery", gallery)
    describe(visit)
    assert {each.caption for each in drawn} == {""}
    drawn.clear()
    validation = open_manifest(home, DATA_SET).table.filter(split="validation", label="waterbird")
    name = validation["id"][0]
    table = pl.DataFrame({"id": [name, name], "caption": [SCRIPT, "the second"]})
    table.write_csv(tmp_path / "captions.csv")
    assert clarify("suggest", DATA_SET, "waterbird", "--captions", str(tmp_path / "captions.csv")).status == 0
    describe(visit)
    assert [(each.caption, each.name.partition(",")[0]) for each in drawn if each.caption] == [(SCRIPT, name)]


def test_a_phrase_that_asks_captions_shows_the_captioned_images_and_how_many_have_none(
    visit: Visit, clarify: Clarify, home: Path, tmp_path: Path
) -> None:
    captioned = captioned_by_place(open_manifest(home, DATA_SET), ("validation",))
    waterbirds = open_manifest(home, DATA_SET).table.filter(split="validation", label="waterbird")
    some = captioned.filter(pl.col("id").is_in(waterbirds["id"].to_list())).gather_every(4)
    some.write_csv(tmp_path / "captions.csv")
    assert clarify("suggest", DATA_SET, "waterbird", "--captions", str(tmp_path / "captions.csv")).status == 0
    html = html_of(after(describe(visit), "mentioned: water"))
    assert "Scored by the captions of 25 images; 75 have none." in html
    assert '<div class="c-name">with mentioned: water</div>' in html
    assert "How much each waterbird fits “mentioned: water”" in html
    assert "have no caption" in html  # the preview says why there is none
    assert "have no caption" not in html_of(after(describe(visit), "water"))


def test_without_a_name_nothing_of_the_data_is_shown(visit: Visit) -> None:
    page = visit("classes", reviewer="")
    assert not page.exception
    assert "What is your name?" in html_of(page)
    assert "waterbird" not in html_of(page)


def test_without_a_base_model_the_page_says_what_to_run(visit: Visit, home: Path) -> None:
    import shutil

    shutil.rmtree(home / "mlruns")
    assert f"clarify train {DATA_SET}" in html_of(visit("describe"))


def test_without_a_data_set_the_page_says_how_to_bring_one(visit: Visit, home: Path) -> None:
    import shutil

    shutil.rmtree(home / "data_manifests")
    assert "clarify data import" in html_of(visit("classes"))


def test_a_prediction_that_is_known_without_probabilities_says_so(
    visit: Visit, clarify: Clarify, home: Path, tmp_path: Path
) -> None:
    table = open_manifest(home, DATA_SET).table
    flipped = pl.when(pl.col("place") == "land").then(pl.lit("landbird"))
    predicted = flipped.otherwise(pl.lit("waterbird"))
    table.select("id", predicted=predicted).write_csv(tmp_path / "p.csv")
    assert clarify("predictions", "import", DATA_SET, str(tmp_path / "p.csv")).status == 0
    page = after(describe(visit), "land")
    assert "probabilities were not imported" in html_of(page)


def test_a_fault_in_the_program_is_apologised_for_without_its_insides(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ZeroDivisionError("secret insides")

    monkeypatch.setattr(page_module, "apologise", APOLOGISE)
    monkeypatch.setattr("clarify.ui.pieces.charts.similarities", broken)
    page = after(describe(visit), "meadow")
    assert "This page met a fault in the program (ZeroDivisionError)." in html_of(page)
    assert "secret insides" not in html_of(page)
    assert "secret insides" in caplog.text


def shown_score(page: AppTest) -> str:
    return html_of(page).partition('<b class="c-big">')[2][:4]


def labels(page: AppTest) -> list[str]:
    return [each.label for each in page.button]


def kept_runs(home: Path, phrase: str) -> list[DescriptionRun]:
    tracking = open_project(Settings(home=home), DATA_SET).tracking
    return [run for run in tracking.runs(DATA_SET, DescriptionRun) if run.phrase == phrase and run.kept]


def move(page: AppTest, part: float = 0.25) -> float:
    (slider,) = page.slider
    slider.set_value(slider.min + part * (slider.max - slider.min)).run()
    assert not page.exception
    return float(page.slider[0].value)


def test_a_compound_phrase_is_cut_on_its_membership(visit: Visit, home: Path) -> None:
    page = after(describe(visit), "land AND NOT water")
    (slider,) = page.slider
    assert 0 <= slider.min < slider.value < slider.max <= 1
    assert f"threshold {slider.value:.3f}" in page.get("plotly_chart")[0].proto.spec
    best, cut, score = slider.value, move(page, 0.5), shown_score(page)
    assert cut != best
    button(page, "Keep it")
    (run,) = kept_runs(home, "land AND NOT water")
    assert f"{run.score:.2f}" == score
    assert run.threshold == pytest.approx(math.log(cut / (1 - cut)), abs=1e-3)  # in log-odds, as before
    tracking = open_project(Settings(home=home), DATA_SET).tracking
    assert f"threshold {cut:.3f}" in tracking.artifact(run.id, "distribution.html").decode()


def test_what_the_encoder_does_not_know_leads_instead_of_a_score(visit: Visit) -> None:
    page = after(describe(visit), "zxqv")
    html = html_of(page)
    assert "The encoder does not know: zxqv" in page.warning[0].value.replace("\\", "")
    assert '<b class="c-big">' not in html
    assert "No verdict." in html
    after(page, "land")
    desk = shared().desks.desk(DATA_SET)
    ada = Page(shared=shared(), visitor=visitor("Ada", ()), desk=desk)
    until = time.monotonic() + 60  # it is recorded while the page goes on
    while not any(run.phrase == "zxqv" for run in desk.runs(DescriptionRun)) and time.monotonic() < until:
        time.sleep(0.2)
    rows = phrases_of(ada, desk.failures(), "waterbird")
    assert rows[-1].phrase == "zxqv"
    assert rows[-1].caution
