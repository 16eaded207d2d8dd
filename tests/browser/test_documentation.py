"""The built documentation in a real browser, opened as files, with everything elsewhere out of reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.docs.site import build

pytestmark = pytest.mark.slow


def test_pages_open_as_files_ask_nothing_of_others_and_can_be_searched(chromium: Any, tmp_path: Path) -> None:
    site = build(tmp_path / "site")
    context = chromium.new_context()
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    for place in ("index.html", "explanation/architecture.html", "reference/python.html"):
        page.goto((site / place).as_uri())
        page.wait_for_timeout(1500)
    page.locator("input.md-search__input").click()
    page.keyboard.type("champion")
    page.locator("a.md-search-result__link").first.wait_for(timeout=120_000)
    assert errors == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "about", "blob"}
    context.close()
