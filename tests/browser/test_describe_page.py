"""The Describe page by mouse and keyboard, and when something is amiss, in a real browser."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from clarify.data.manifest import open_manifest
from clarify.track.listing import FRESH_S
from clarify.track.mlflow import TrackingStore
from clarify.track.runs import DescriptionRun
from tests.browser.conftest import free_port, seen, serving, until, visiting
from tests.browser.test_story import FIELD, enter
from tests.conftest import DATA_SET, Done, captioned_by_place

pytestmark = pytest.mark.slow

Visitor = Callable[..., Any]
Clarify = Callable[..., Done]
PLACE = "/describe?class=waterbird"


def halves(page: Any) -> list[str]:
    """Return how many images each half has."""
    return [re.findall(r"[\d,]+ images", text)[0] for text in page.locator(".c-half").all_inner_texts()]


def test_a_picture_opens_with_its_file_similarity_probabilities_and_attributes(
    guest: Visitor, common_home: Path
) -> None:
    page = guest(PLACE)
    enter(page, "meadow")
    picture = page.locator(".grid button").first
    picture.hover()
    page.wait_for_timeout(700)
    grown = picture.locator("img").bounding_box()
    assert grown["width"] > 1.8 * picture.bounding_box()["width"]
    picture.click()
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    said = (
        "File",
        "validation/",
        "Chance of waterbird",
        "Taken for",
        "place",
        "Similarity",
        "without meadow",
    )
    for text in said:
        dialog.get_by_text(text).first.wait_for()
    assert str(common_home) not in dialog.inner_text()
    first = dialog.inner_text()
    page.keyboard.press("n")
    dialog.get_by_text(re.compile("^2 of")).wait_for()
    page.keyboard.press("p")
    dialog.get_by_text(re.compile("^1 of")).wait_for()
    until(page, lambda: dialog.inner_text() == first)
    seen(page, "describe-image")
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def test_a_picture_stays_open_when_the_machine_has_found_its_phrases(visitor: Visitor, home: Path) -> None:
    for cache in ("mlruns/gains", "features/phrases"):
        shutil.rmtree(home / cache)
    page = visitor(PLACE)
    enter(page, "meadow")
    page.locator(".grid button").first.click()
    page.get_by_role("dialog").get_by_text("Taken for").wait_for()
    page.get_by_text("It is still searching").wait_for(state="attached")
    page.get_by_text("It is still searching").wait_for(state="detached")
    assert page.get_by_role("dialog").get_by_text("Taken for").is_visible()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    chip = page.get_by_role("button", name=re.compile(r"\+\d+\.\d$")).first
    phrase = chip.inner_text().split("+")[0].strip()
    chip.click()
    page.get_by_text(f"with {phrase}", exact=True).wait_for()


def test_a_grid_is_one_stop_of_the_tab_key_and_arrows_go_through_it(guest: Visitor) -> None:
    page = guest(PLACE)
    enter(page, "meadow")
    pictures = page.locator(".grid").first.locator("button")
    pictures.nth(30).wait_for()
    page.locator('[data-test-script-state="notRunning"]').wait_for()

    def focused() -> int:
        return int(
            pictures.evaluate_all("all => all.findIndex(each => each === each.getRootNode().activeElement)")
        )

    tops = pictures.evaluate_all("all => all.map(each => each.getBoundingClientRect().top)")
    columns = next(number for number, top in enumerate(tops) if top > tops[0])
    pictures.first.focus()
    for key, number in (("ArrowRight", 1), ("ArrowDown", 1 + columns), ("ArrowLeft", columns), ("Home", 0)):
        page.keyboard.press(key)
        assert focused() == number
        assert page.locator(".grid").first.locator('button[tabindex="0"]').count() == 1
    page.keyboard.press("Tab")
    assert focused() == -1


def test_pictures_are_arranged_as_one_likes(guest: Visitor) -> None:
    page = guest(PLACE)
    enter(page, "meadow")
    page.get_by_role("button", name="Pictures: a fair sample").click()
    page.get_by_text("nearest to the cut first").click()
    page.get_by_role("button", name="Pictures: nearest to the cut first").wait_for()
    page.get_by_role("button", name="Large").or_(page.get_by_role("radio", name="Large")).click()
    until(page, lambda: page.locator(".grid").first.locator("button").count() == 12)
    assert page.locator(".grid button").first.bounding_box()["width"] >= 150
    seen(page, "describe-arranged")


def test_captions_stand_under_the_pictures_and_split_a_class(
    visitor: Visitor, clarify: Clarify, home: Path, tmp_path: Path
) -> None:
    captions = captioned_by_place(open_manifest(home, DATA_SET), ("validation",))
    first = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("<b>bold</b> on the water"))
    captions.with_columns(caption=first.otherwise("caption")).write_csv(tmp_path / "captions.csv")
    given = clarify("suggest", DATA_SET, "waterbird", "--captions", str(tmp_path / "captions.csv"))
    assert given.status == 0
    page = visitor(PLACE)
    page.locator("figcaption").first.wait_for()
    assert page.locator("figcaption b").count() == 0
    picture = page.locator("figure").first
    caption, image = (picture.locator(each).bounding_box() for each in ("figcaption", "img"))
    assert caption["y"] >= image["y"] + image["height"]
    assert caption["width"] <= picture.bounding_box()["width"]
    enter(page, "mentioned: water")
    page.get_by_text("with mentioned: water").wait_for()
    assert halves(page) == ["50 images", "50 images"]
    under = page.locator("figcaption").all_inner_texts()
    assert sorted(set(under)) == ["a bird on the meadow", "a bird on the water"]
    seen(page, "describe-captions")
    page.locator(".grid button").first.click()
    page.get_by_role("dialog").get_by_text("a bird on the").wait_for()


def test_a_click_and_the_slider_move_the_threshold_and_everything_follows(guest: Visitor) -> None:
    page = guest(PLACE)
    enter(page, "meadow")
    page.locator(".js-plotly-plot").first.wait_for()
    before = halves(page)

    def click_moves_it() -> bool:
        chart = page.locator(".js-plotly-plot .plotly .nsewdrag").first
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + 0.9 * box["height"])
        page.wait_for_timeout(2500)
        return halves(page) != before

    until(page, click_moves_it)  # suggestions that arrive meanwhile may draw the chart anew
    clicked = halves(page)
    score = page.locator(".c-big").inner_text()
    page.get_by_role("slider").first.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    until(page, lambda: halves(page) != clicked)
    until(page, lambda: page.locator(".c-big").inner_text() != score)  # it is that of the cut in force
    page.get_by_text("By the cut as you moved it; the best one scores").wait_for()


def test_a_moved_cut_is_kept_once_with_its_note_and_its_address_brings_it_to_a_colleague(
    visitor: Visitor, home: Path, served: str
) -> None:
    page = visitor(PLACE)
    enter(page, "meadow")
    page.locator(".js-plotly-plot .shapelayer path").first.wait_for(state="attached")
    page.locator('[data-test-script-state="notRunning"]').wait_for()
    page.get_by_role("slider").first.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    page.get_by_text("By the cut as you moved it; the best one scores").wait_for()
    # Each key runs the page again and draws the chart anew; then the handle stands under the line.
    page.wait_for_function(
        """() => {
            const middle = (name) => {
                const box = document.querySelector(name)?.getBoundingClientRect();
                return box ? box.x + box.width / 2 : NaN;
            };
            const line = middle(".js-plotly-plot .shapelayer path");
            return Math.abs(line - middle("[data-testid=stSliderThumbValue]")) < 2;
        }"""
    )
    page.locator('[data-test-script-state="notRunning"]').wait_for()
    page.wait_for_timeout(1500)
    score, address = page.locator(".c-big").inner_text(), page.url
    page.get_by_text("Add a note").click()
    page.get_by_label("Anything worth remembering").press_sequentially("at the shore")
    page.keyboard.press("Escape")
    page.get_by_text("Phrases tried for").click()
    page.get_by_text("A note to it waits for Keep it: “at the shore”").wait_for()
    seen(page, "describe-note")
    enter(page, "lake")
    assert page.get_by_text("waits for Keep it").count() == 0
    page.go_back()
    page.get_by_text("with meadow", exact=True).wait_for()
    page.get_by_text("By the cut as you moved it; the best one scores").wait_for()
    assert page.locator(".c-big").inner_text() == score
    page.locator('[data-test-script-state="notRunning"]').wait_for()
    page.get_by_role("button", name=re.compile("Keep it")).dblclick()
    page.get_by_role("button", name="Kept · undo").wait_for()
    page.locator('[data-test-script-state="notRunning"]').wait_for()
    seen(page, "describe-kept")
    found = [run for run in TrackingStore(home).runs(DATA_SET, DescriptionRun) if run.phrase == "meadow"]
    (kept,) = [run for run in found if run.kept]
    assert (f"{kept.score:.2f}", kept.note) == (score, "at the shore")
    other = visitor(address.removeprefix(served), name="Grace")
    other.get_by_text("with meadow", exact=True).wait_for()
    assert other.get_by_placeholder(FIELD).input_value() == "meadow"
    assert other.locator(".c-big").inner_text() == score
    assert halves(other) == halves(page)
    other.reload()
    other.get_by_text("with meadow", exact=True).wait_for()
    assert other.locator(".c-big").inner_text() == score


def test_points_that_are_drawn_around_are_shown_as_pictures(guest: Visitor) -> None:
    page = guest(PLACE)
    enter(page, "meadow")
    page.get_by_role("tab", name="Similarity and confidence").click()
    page.get_by_text("Draw around some points").wait_for()
    grids = page.locator(".grid").count()
    area = page.locator(".js-plotly-plot .nsewdrag").last
    area.scroll_into_view_if_needed()
    box = area.bounding_box()

    def at(x: float, y: float) -> tuple[float, float]:
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    page.mouse.move(*at(0.02, 0.02))
    page.mouse.down()
    for corner in ((0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.05)):
        page.mouse.move(*at(*corner), steps=6)
    page.mouse.up()
    until(page, lambda: page.locator(".grid").count() == grids + 1)
    assert page.locator(".grid").last.locator("button").count() > 10


def test_the_keyboard_tests_keeps_and_pages(guest: Visitor) -> None:
    page = guest(PLACE, name="Kay")
    page.get_by_placeholder(FIELD).fill("land")
    page.keyboard.press("Control+Enter")
    page.get_by_text("with land", exact=True).wait_for()
    # A button listens to its key only after it was drawn, and a run that goes on draws it again.
    page.locator('[data-test-script-state="notRunning"]').wait_for()
    page.keyboard.press("Alt+k")
    page.get_by_text("Kept.", exact=True).wait_for()
    page.get_by_role("button", name="See original data").click()
    page.get_by_text("right", exact=True).first.wait_for()


def test_a_phrase_that_is_kept_while_the_store_is_away_waits_and_the_page_says_so(
    visitor: Visitor, home: Path
) -> None:
    page = visitor(PLACE)
    enter(page, "meadow")
    page.wait_for_timeout(1500)  # it is recorded as tried
    other = sqlite3.connect(home / "mlruns" / "mlflow.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    page.get_by_role("button", name=re.compile("Keep it")).click()
    page.get_by_text("It waits here until the tracking store is back").wait_for(timeout=40_000)
    page.get_by_text("1 description waits here until the store is back").wait_for()
    seen(page, "describe-waiting")
    other.execute("ROLLBACK")
    other.close()
    assert TrackingStore(home).deliver() == 1
    kept = [run.phrase for run in TrackingStore(home).runs(DATA_SET, DescriptionRun) if run.kept]
    assert "meadow" in kept
    enter(page, "lake")
    page.get_by_text("tracking: up to date").wait_for()


def test_a_server_that_is_started_again_has_everything_that_was_kept(
    chromium: Any, home: Path, tmp_path: Path
) -> None:
    port, context = free_port(), chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    with serving(home, tmp_path / "first.log", port=port) as address:
        page.goto(f"{address}{PLACE}")
        page.get_by_placeholder("Ada Lovelace").fill("Ada")
        page.keyboard.press("Enter")
        enter(page, "meadow")
        page.get_by_role("button", name=re.compile("Keep it")).click()
        page.get_by_text("Kept.", exact=True).wait_for()
    with serving(home, tmp_path / "second.log", port=port) as address:
        page.goto(f"{address}{PLACE}")  # the same browser: nobody asks for a name again
        page.get_by_role("button", name=re.compile("^meadow.*kept")).wait_for()
    context.close()


def test_two_servers_on_one_home_show_what_the_other_keeps(chromium: Any, home: Path, tmp_path: Path) -> None:
    with (
        serving(home, tmp_path / "one.log") as one,
        serving(home, tmp_path / "two.log") as two,
        visiting(chromium, one) as come_to_one,
        visiting(chromium, two) as come_to_two,
    ):
        pages = come_to_one(PLACE, name="Ada"), come_to_two(PLACE, name="Grace")
        for page, phrase in zip(pages, ("land", "meadow"), strict=True):
            enter(page, phrase)
            page.get_by_role("button", name=re.compile("Keep it")).click()
            page.get_by_role("button", name="Kept · undo").wait_for()
        for page in pages:
            page.wait_for_timeout(1000 * FRESH_S)
            page.reload()
            for phrase in ("land", "meadow"):
                page.get_by_role("button", name=re.compile(f"^{phrase}.*kept")).wait_for()
    kept = [run for run in TrackingStore(home).runs(DATA_SET, DescriptionRun) if run.kept]
    assert sorted((run.by, run.phrase) for run in kept if run.phrase in ("land", "meadow")) == [
        ("Ada", "land"),
        ("Grace", "meadow"),
    ]


def test_images_that_are_gone_leave_their_places_empty_and_the_page_whole(
    visitor: Visitor, home: Path
) -> None:
    shutil.rmtree(home / "images" / DATA_SET / "validation")
    page = visitor(PLACE)
    enter(page, "meadow")
    page.locator(".grid button").nth(50).wait_for()
    page.locator(".c-preview table").wait_for()  # all is drawn: no picture is replaced under the mouse
    page.locator(".grid button").first.click()
    page.get_by_role("dialog").get_by_text("File").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("Keep it")).click()
    page.get_by_text("Kept.", exact=True).wait_for()
    page.goto(page.url.split("/describe")[0])
    page.get_by_role("link", name=re.compile("waterbird")).first.wait_for()
    assert page.get_by_text("fault in the program").count() == 0
