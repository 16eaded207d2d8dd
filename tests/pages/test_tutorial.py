"""The tutorial: three steps, each one sentence; the way out is always there."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from clarify.ui.server.lesson import lesson
from clarify.ui.server.shared import shared
from tests.pages.conftest import Visit, html_of

pytestmark = pytest.mark.slow

PATIENCE_S = 120


@pytest.fixture
def tutorial(visit: Visit) -> AppTest:
    """The page at its first step, the lesson ready."""
    page = visit("tutorial")
    assert not page.exception
    lesson(shared()).future.result(PATIENCE_S)
    return page.run()


def press(page: AppTest, label: str) -> AppTest:
    (button,) = [each for each in page.button if each.label == label]
    return button.click().run()


def labels(page: AppTest) -> set[str]:
    return {each.label for each in page.button}


def test_while_it_is_made_ready_it_says_so_and_can_be_skipped(visit: Visit) -> None:
    page = visit("tutorial")
    assert not page.exception
    assert "the first time only" in html_of(page)
    assert "Where does the model fail?" in html_of(press(page, "Skip"))


def test_the_three_steps_lead_from_the_failure_to_the_corrected_model(tutorial: AppTest) -> None:
    assert "what do they have in common?" in html_of(tutorial)
    page = press(tutorial, "I have an idea")
    assert {"Test it", "Skip"} <= labels(page)
    page = page.text_input(key="tutorial-phrase").set_value("red").run()
    assert not page.exception
    assert "without red" in html_of(page)
    assert "<b>Strong.</b>" in html_of(page)
    page = press(page, "Retrain with it")
    assert not page.exception
    assert "Retrained so that both sides count alike" in html_of(page)
    assert "Where does the model fail?" in html_of(press(page, "Now your own images"))


def test_the_grids_stay_the_field_does_not_give_the_answer_and_a_reload_goes_on(
    tutorial: AppTest, visit: Visit
) -> None:
    page = press(tutorial, "I have an idea")
    assert "squares it misses" in html_of(page)  # before anything is said
    assert "red" not in page.text_input(key="tutorial-phrase").placeholder
    page = page.text_input(key="tutorial-phrase").set_value("big").run()
    assert page.query_params["step"] == "2"
    again = visit("tutorial", step="2", phrase="big")
    assert again.text_input(key="tutorial-phrase").value == "big"
    assert "with big" in html_of(again)
    assert "Retrained so that" in html_of(visit("tutorial", step="3", phrase="red"))
    assert "what do they have in common?" in html_of(visit("tutorial", step="7"))


def test_a_phrase_that_explains_little_is_met_with_a_hint(tutorial: AppTest) -> None:
    page = press(tutorial, "I have an idea")
    page = page.text_input(key="tutorial-phrase").set_value("big").run()
    assert "Look at their colour" in html_of(page)


def test_what_is_typed_is_shown_as_text_or_refused(tutorial: AppTest) -> None:
    page = press(tutorial, "I have an idea")
    for text in ("<script>alert(1)</script>", "**bold** $x$", "a and (b"):
        page = page.text_input(key="tutorial-phrase").set_value(text).run()
        assert not page.exception
        assert "<script>" not in html_of(page)
        assert "Skip" in labels(page)


def test_it_leaves_the_store_of_the_team_alone(tutorial: AppTest, home: Path, visit: Visit) -> None:
    assert shared().desks.names() == ["tiny-birds"]
    assert not (home / "cache" / "tutorial" / "mlruns").exists()
