"""The Classes page: where the model fails, and the link that leads on."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from clarify.data.manifest import open_manifest, write_manifest
from clarify.ui.server.shared import shared
from tests.conftest import DATA_SET, run_clarify
from tests.pages.conftest import Visit, html_of

PATIENCE_S = 120
HOSTILE = ("<script>alert(1)</script>", "**bold** $x$")


def ready(page: AppTest) -> AppTest:
    """Draw the page again once the promise is worked out."""
    run = shared().desks.desk(DATA_SET).failures().model.run_id
    shared().background.once(("promises", run), _not_asked).future.result(PATIENCE_S)
    return page.run()


def _not_asked(say: Any) -> None:
    raise AssertionError("the page began no search")


def links(page: AppTest) -> list[tuple[str, dict[str, list[str]]]]:
    """Return the rows' links in order: their label, and the query of their address."""
    found = [each.proto for each in page.get("page_link")]
    return [(each.label, parse_qs(each.query_string)) for each in found if "class=" in each.query_string]


def press(page: AppTest, label: str) -> AppTest:
    (button,) = [each for each in page.button if each.label == label]
    return button.click().run()


def test_a_class_says_where_it_fails_and_what_was_said_about_it(visit: Visit) -> None:
    html = html_of(visit("classes"))
    assert "2 classes · 200 validation images" in html
    assert "all taken for" in html
    assert html.count('<div class="c-strip">') == 2
    assert "1 kept · best " in html
    assert ">Ada</span>" in html


def test_a_row_leads_to_its_class_by_an_address_that_can_be_sent(visit: Visit) -> None:
    found = links(visit("classes"))
    assert {label for label, _ in found} == {"**landbird**", "**waterbird**"}
    for label, query in found:
        assert query == {"data": [DATA_SET], "class": [label.strip("*")]}


def test_the_promise_is_worked_out_beside_the_page_and_then_orders_it(visit: Visit) -> None:
    page = visit("classes")
    assert not page.exception
    page = ready(page)
    assert not page.exception
    assert "First where a description would pay most." in [each.value for each in page.caption]
    assert "promise 0." in html_of(page)
    promised = run_clarify("promise", DATA_SET, "--json", home=shared().settings.home).result
    first = promised["classes"][0]["class"]
    assert links(page)[0][0] == f"**{first}**"


def test_search_and_order_choose_the_rows(visit: Visit) -> None:
    page = visit("classes")
    page.selectbox(key="classes-order").set_value("name").run()
    assert [label for label, _ in links(page)] == ["**landbird**", "**waterbird**"]
    page.text_input(key="classes-search").set_value("WATER").run()
    assert [label for label, _ in links(page)] == ["**waterbird**"]
    page.text_input(key="classes-search").set_value("fish").run()
    assert "No class has that in its name." in html_of(page)


def test_only_who_comes_for_the_first_time_is_offered_the_tutorial(visit: Visit) -> None:
    known = visit("classes")
    assert "New here?" not in html_of(known)
    page = visit("classes", reviewer="")
    page.text_input[0].set_value("Grace")
    page = press(page, "Begin")
    assert not page.exception
    assert "New here?" in html_of(page)
    assert "New here?" not in html_of(press(page, "Not now"))


def test_the_tutorial_is_one_press_away(visit: Visit) -> None:
    page = visit("classes", reviewer="")
    page.text_input[0].set_value("Grace")
    page = press(press(page, "Begin"), "Show me")
    assert not page.exception
    assert "How a mistake is put into words" in html_of(page)


def test_a_data_set_without_a_model_tells_the_next_step(visit: Visit, home: Path) -> None:
    _other_names(home, ("rock", "paper"))
    html = html_of(visit("classes", data="renamed"))
    assert "clarify train renamed" in html


@pytest.fixture
def hostile(home: Path) -> Path:
    _other_names(home, HOSTILE)
    for step in (("embed", "renamed", "--encoder", "small-clip"), ("train", "renamed")):
        assert run_clarify(*step, home=home).status == 0
    return home


def test_names_are_shown_as_text(hostile: Path, visit: Visit) -> None:
    page = visit("classes", data="renamed")
    assert not page.exception
    assert "<script>" not in html_of(page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html_of(page)
    (chart,) = page.get("plotly_chart")
    assert "<script>" not in chart.proto.spec
    found = links(page)
    assert {query["class"][0] for _, query in found} == set(HOSTILE)
    shown = {label for label, _ in found}
    assert r"**\*\*bold\*\* \$x\$**" in shown
    assert r"**\<script\>alert\(1\)\</script\>**" in shown


def _other_names(home: Path, names: tuple[str, ...]) -> None:
    """Write the same data set again as ``renamed``, with other names of classes."""
    known = open_manifest(home, DATA_SET)
    labels = dict(zip(known.classes, names, strict=True))
    table = known.table.with_columns(pl.col("label").cast(pl.String).replace(labels))
    write_manifest(
        home / "data_manifests" / "renamed",
        name="renamed",
        title="Renamed",
        source="a test",
        licence="none",
        root=str(known.root),
        classes=names,
        splits=known.splits,
        attributes=known.attributes,
        table=table,
    )
