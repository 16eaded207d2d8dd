"""What a team does in the dashboard, in a real browser, from the worst class to a roll back."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import seen, serving
from tests.conftest import DATA_SET, run_clarify

pytestmark = pytest.mark.slow

Visitor = Callable[..., Any]
FIELD = "a word or a few"
SCRIPT = "<script>document.title='owned'</script>"


def enter(page: Any, phrase: str) -> None:
    page.get_by_placeholder(FIELD).fill(phrase)
    page.keyboard.press("Enter")
    page.get_by_text(f"with {phrase}", exact=True).wait_for()


def test_a_team_finds_a_failure_says_it_corrects_the_model_promotes_and_rolls_back(
    visitor: Visitor, home: Path
) -> None:
    page = visitor("/")
    page.get_by_role("link", name=re.compile("waterbird")).first.wait_for()
    seen(page, "classes")
    page.get_by_role("link", name=re.compile("waterbird")).first.click()
    page.get_by_placeholder(FIELD).wait_for()
    seen(page, "describe-first")
    for phrase in ("red", "night", "land"):
        enter(page, phrase)
    page.get_by_text("If retrained with it").wait_for()
    seen(page, "describe")
    page.get_by_role("button", name=re.compile("Keep it")).click()
    page.get_by_text("Kept.", exact=True).wait_for()
    for number, objective in enumerate(("All groups alike", "The worst group, by group DRO"), 1):
        retrain(page, objective, number)
        page.get_by_role("link", name=re.compile("^Compare")).first.click()
        page.get_by_text("worst described half").first.wait_for()
        page.locator(f"tr[data-model='{number}']").click()
        page.wait_for_timeout(1500)
        seen(page, "compare")
        page.get_by_role("button", name=re.compile("^Promote")).click()
        page.get_by_text("The gate passes it").wait_for()
        seen(page, "registry")
        page.get_by_placeholder("Why? It stands in the history.").fill(f"agreed, {number}")
        page.get_by_role("button", name=re.compile("^Promote")).click()
        page.get_by_text(f"Version {number} is the champion.", exact=True).wait_for()
    page.get_by_role("button", name="Roll back to version 1").click()
    page.get_by_text("Version 1 is the champion again.").wait_for()
    seen(page, "registry-rolled-back")
    told = run_clarify("history", DATA_SET, "--json", home=home).result
    assert [each["action"] for each in told["history"]] == ["rollback", "promotion", "promotion"]
    assert told["history"][0]["to_version"] == "1"
    assert told["history"][1]["note"] == "agreed, 2"


def retrain(page: Any, objective: str, done: int) -> None:
    """Retrain with what is kept, and wait until so many jobs are done."""
    page.get_by_role("link", name="Retrain").click()
    page.get_by_text("What counts most").wait_for()
    page.get_by_role("combobox", name="What counts most").click()
    page.get_by_role("option", name=objective, exact=True).click()
    page.get_by_role("button", name=re.compile("^Retrain")).click()
    page.locator(".c-done").nth(done - 1).wait_for(timeout=180_000)
    seen(page, "retrain")


def test_an_address_of_a_page_on_a_fresh_server_asks_who_is_there_first(chromium: Any, served: str) -> None:
    page = chromium.new_page()
    page.goto(f"{served}/describe?class=waterbird")
    page.get_by_text("What is your name?").wait_for()
    assert page.get_by_text("validation images").count() == 0
    page.close()


def test_a_name_is_asked_once_and_remembered_after_a_reload(guest: Visitor) -> None:
    page = guest("/describe?class=waterbird", name="Grace")
    page.get_by_placeholder(FIELD).wait_for()
    page.wait_for_timeout(1000)
    page.reload()
    page.get_by_text("reviewer · Grace").wait_for()


def test_two_people_keep_phrases_at_once_and_both_are_there(guest: Visitor) -> None:
    pages = {name: guest("/describe?class=waterbird", name=name) for name in ("Ada", "Grace")}
    for page, phrase in zip(pages.values(), ("land", "meadow"), strict=True):
        enter(page, phrase)
    for page in pages.values():
        page.get_by_role("button", name=re.compile("Keep it")).click()
    for page in pages.values():
        page.get_by_role("button", name="Kept · undo").wait_for()  # its toast goes while the other waits
    third = guest("/describe?class=waterbird", name="Lin")
    for phrase in ("land", "meadow"):
        third.get_by_role("button", name=re.compile(f"^{phrase}.*kept")).wait_for()


def test_scripts_are_shown_as_text_on_every_page(guest: Visitor) -> None:
    page = guest("/describe?class=waterbird", name=SCRIPT)
    page.get_by_placeholder(FIELD).fill(f"lake {SCRIPT}")
    page.keyboard.press("Enter")
    page.wait_for_timeout(2500)
    for name in ("Classes", "Retrain", "Compare", "Registry"):
        page.get_by_role("link", name=re.compile(f"^{name}")).first.click()
        page.wait_for_timeout(1500)
        assert page.title() != "owned"
        assert page.locator('[data-testid="stException"]').count() == 0


def test_a_picture_is_open_only_by_an_address_that_a_page_gave(guest: Visitor, common: str) -> None:
    page = guest("/describe?class=waterbird")
    image = page.locator("img[src*='/pictures/']").first
    image.wait_for()
    address = str(image.get_attribute("src"))
    with urllib.request.urlopen(common + address) as answer:
        assert answer.headers["Content-Type"] == "image/webp"
    path, _, query = address.partition("?")
    other = re.sub(r"/(\d+)/small", lambda found: f"/{int(found[1]) + 1}/small", path)
    for wrong in (
        path,
        f"{other}?{query}",
        f"{path.replace('small', 'whole')}?{query}",
        f"/pictures/{DATA_SET}/../../etc/passwd?{query}",
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(common + wrong)
        assert refused.value.code in (400, 403, 404)
        refused.value.close()


def test_only_leads_are_offered_to_promote(chromium: Any, home: Path, tmp_path: Path) -> None:
    retrained = run_clarify("retrain", DATA_SET, "--objective", "reweight", home=home)
    assert retrained.status == 0
    with serving(home, tmp_path / "leads.log", CLARIFY_LEADS="Grace") as address:
        for name, offered in (("Ada", 0), ("Grace", 1)):
            context = chromium.new_context()
            page = context.new_page()
            page.goto(f"{address}/registry")
            page.get_by_placeholder("Ada Lovelace").fill(name)
            page.keyboard.press("Enter")
            page.get_by_text(f"reviewer · {name}").wait_for()
            page.get_by_role("combobox", name="Model").click()
            page.get_by_role("option").first.click()
            page.wait_for_timeout(4000)
            buttons = page.get_by_role("button", name=re.compile("^(Promote|Overrule)"))
            assert min(1, buttons.count()) == offered
            context.close()
