"""The Describe page's address: it names the very view, and the browser's may be behind."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from clarify.ui.describe import view
from clarify.ui.server.shared import shared
from tests.conftest import DATA_SET
from tests.pages.conftest import Visit, html_of
from tests.pages.test_describe import after, describe, move, shown_score


def address_of(page: AppTest) -> dict[str, str]:
    return {key: str(np.ravel(value)[0]) for key, value in page.query_params.items()}


def test_the_address_brings_the_very_view_and_going_back_too(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "SETTLES_S", 0.0)
    page = after(describe(visit), "meadow")
    best = address_of(page)
    move(page)
    score, address = shown_score(page), address_of(page)
    assert set(address) == {"data", "class", "phrase", "cut"}
    other = visit("describe", reviewer="Grace", **address)
    assert not other.exception
    assert (other.text_input(key="phrase").value, shown_score(other)) == ("meadow", score)
    page.query_params.clear()
    for key, value in best.items():
        page.query_params[key] = value
    page.run()
    assert shown_score(page) != score
    page.query_params.clear()
    page.query_params["class"] = "waterbird"
    page.run()
    assert page.text_input(key="phrase").value == ""
    assert '<div class="c-name">wrong</div>' in html_of(page)


def test_the_slider_counts_where_the_address_of_the_browser_is_behind(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "SETTLES_S", 0.0)
    page = after(describe(visit), "meadow")
    behind = address_of(page)
    move(page)
    page.query_params.clear()
    for key, value in behind.items():
        page.query_params[key] = value
    cut = move(page, 0.4)  # the next step of the hand, sent before the address was changed
    assert cut == pytest.approx(page.slider[0].min + 0.4 * (page.slider[0].max - page.slider[0].min))
    assert address_of(page)["cut"] == f"{cut:.6g}"


@pytest.mark.parametrize("cut", ["abc", "7", "nan", "-inf"])
def test_a_cut_that_is_none_is_told_and_the_best_is_shown(visit: Visit, cut: str) -> None:
    page = describe(visit, phrase="meadow", cut=cut)
    assert f"the address cuts 'meadow' at '{cut}'" in page.error[0].value.replace("\\", "")
    assert shown_score(page) == shown_score(after(describe(visit), "meadow"))


def test_an_unknown_data_set_in_an_address_is_told_with_the_nearest(visit: Visit) -> None:
    assert f"nearest: {DATA_SET}" in html_of(visit("describe", data=f"{DATA_SET}x"))


def test_without_a_class_the_most_promising_one_is_opened(visit: Visit) -> None:
    run = shared().desks.desk(DATA_SET).failures().model.run_id
    found = {"landbird": 0.1, "waterbird": 0.4}
    shared().background.once(("promises", run), lambda say: found).future.result(60)
    page = visit("describe")
    assert "<b>waterbird</b>" in html_of(page)
    assert page.session_state["class"] == "waterbird"
