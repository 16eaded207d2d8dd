"""The Describe page's pictures: their order, which of them are shown, and how large."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from clarify.ui.describe import halves
from clarify.ui.server.shared import shared
from tests.conftest import DATA_SET
from tests.pages.conftest import Visit
from tests.pages.test_describe import after, button, describe


def shown_rows(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """Run the page, and return the rows that each half's grid shows, in order."""
    shown: dict[str, list[int]] = {}

    def look_at(*args: Any, key: str, **options: Any) -> None:
        shown[key] = args[2].tolist()

    with monkeypatch.context() as patch:
        patch.setattr(halves, "look_at", look_at)
        page.run()
    assert not page.exception
    return shown


def test_pictures_are_ordered_filtered_and_drawn_anew(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    page = after(describe(visit), "meadow")
    failures = shared().desks.desk(DATA_SET).failures()
    run = failures.model.run_id
    tried = page.session_state[f"tried-{run}"]["waterbird", "meadow"]
    scores = dict(zip(tried.rows.tolist(), tried.scores, strict=True))
    cut, having = tried.description.threshold, dict(zip(tried.rows.tolist(), tried.with_half, strict=True))
    sample = shown_rows(page, monkeypatch)
    assert sorted(sample["gallery-left"] + sample["gallery-right"]) == sorted(scores)
    assert all(having[row] for row in sample["gallery-right"])
    assert not any(having[row] for row in sample["gallery-left"])
    button(page, "Draw another sample")
    assert shown_rows(page, monkeypatch)["gallery-left"] != sample["gallery-left"]
    confidence = dict(zip(tried.rows.tolist(), failures.confidence(tried.rows), strict=True))
    orders = {
        "most like the phrase first": lambda row: -scores[row],
        "nearest to the cut first": lambda row: abs(scores[row] - cut),
        "surest first": lambda row: -confidence[row],
        "least sure first": lambda row: confidence[row],
    }
    for order, key in orders.items():
        page.radio(key="order").set_value(order)
        for rows in shown_rows(page, monkeypatch).values():
            assert [key(row) for row in rows] == sorted(key(row) for row in rows), order
    taken = page.selectbox(key="taken-for")
    assert taken.value == ""  # which no class is called, whatever it says
    assert taken.options[0].startswith("any class · ")
    taken.set_value("landbird")
    only = shown_rows(page, monkeypatch)
    wrong = [row for row in scores if failures.predicted[row] == 0]
    assert sorted(only["gallery-left"] + only["gallery-right"]) == sorted(wrong)
    page.segmented_control(key="size").set_value("Large")
    assert max(len(rows) for rows in shown_rows(page, monkeypatch).values()) <= 12


def test_without_a_phrase_nothing_is_ordered_by_it(visit: Visit) -> None:
    page = after(describe(visit), "meadow")
    page.radio(key="order").set_value("nearest to the cut first").run()
    after(page, "")
    assert page.radio(key="order").options == ["a fair sample", "surest first", "least sure first"]
    assert page.radio(key="order").value == "a fair sample"
