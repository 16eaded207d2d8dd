"""What the running server tells strangers, and what it takes from them."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from clarify.ui.server.shared import read_secret
from clarify.ui.server.visitors import NameTags

pytestmark = pytest.mark.slow


def asked(
    address: str,
    *,
    method: str = "GET",
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Message]:
    request = urllib.request.Request(address, method=method, data=content, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


def test_nobody_fills_the_memory_or_reads_the_figures_without_a_login(common: str) -> None:
    for method in ("PUT", "POST", "DELETE", "OPTIONS"):
        status, _ = asked(
            f"{common}/_stcore/upload_file/a-session/a-file", method=method, content=b"x" * 1000
        )
        assert status == 403, method
    for path in ("/_stcore/metrics", "/describe/_stcore/upload_file/a/b", "/%5Fstcore/upload_file/a/b"):
        assert asked(common + path, method="PUT")[0] in (403, 405), path
    assert asked(common + "/_stcore/metrics")[0] == 403
    assert asked(common + "/_stcore/health")[0] == 200


def test_no_other_page_frames_it_and_its_answers_say_what_they_are(common: str) -> None:
    for path in ("/", "/describe", "/_stcore/health", "/pictures/none/0/small"):
        _, headers = asked(common + path)
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert len(headers.get_all("Content-Security-Policy")) == 1


def test_the_pages_work_under_the_policy(common: str, guest: Callable[..., Any]) -> None:
    """Grids, charts and pictures are there, and the browser has nothing to complain of."""
    said: list[str] = []
    page = guest("/describe?class=waterbird")
    page.on("console", lambda message: said.append(message.text))
    page.reload()
    page.get_by_placeholder("a word or a few").fill("water")
    page.keyboard.press("Enter")
    page.get_by_text("with water", exact=True).wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    for path in ("/compare", "/registry", "/retrain", "/"):
        page.goto(common + path)
        page.get_by_text("reviewer · Ada").wait_for()
        page.wait_for_timeout(1500)
    assert not [each for each in said if "Content Security Policy" in each or "violates" in each]


def test_the_name_is_remembered_over_tls_alone_where_there_is_tls(common: str, common_home: Path) -> None:
    good = common + NameTags(read_secret(common_home)).address("Ada")
    _, plain = asked(good)
    _, behind = asked(good, headers={"X-Forwarded-Proto": "https"})
    assert "secure" not in plain["Set-Cookie"].lower()
    assert "; secure" in behind["Set-Cookie"].lower()
    status, headers = asked(common + NameTags("another secret").address("Ada"))
    assert (status, headers["Set-Cookie"]) == (403, None)
