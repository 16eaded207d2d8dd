"""The dashboard's script on a copied home, as Streamlit runs it but without a browser."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from clarify.ui.pieces import page
from clarify.ui.server.app import SCRIPT
from clarify.ui.server.shared import shared

Visit = Callable[..., AppTest]


@pytest.fixture(scope="session", autouse=True)
def components_found_once() -> Iterator[None]:
    """Let Streamlit look for other packages' components once, and not a second for each visit."""
    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", once)
        yield


@pytest.fixture
def visit(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visit]:
    """Open a page of the dashboard as a reviewer; returns what it drew.

    ``visit("describe", **{"class": "landbird"})`` opens ``/describe?class=landbird``.
    """
    yield from visits(home, monkeypatch)


def visits(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visit]:
    monkeypatch.setenv("CLARIFY_HOME", str(home))
    monkeypatch.chdir(home)
    shared.cache_clear()
    # A fault is to fail the test, not to be apologised for.
    monkeypatch.setattr(page, "apologise", raise_again)

    def open_page(name: str, *, reviewer: str = "Ada", **query: str) -> AppTest:
        test = AppTest.from_file(str(SCRIPT), default_timeout=60)
        if reviewer:
            test.session_state["reviewer"] = reviewer
        for key, value in query.items():
            test.query_params[key] = value
        # A page's address chooses it; the test harness does so by its file.
        if name != "classes":
            test.switch_page(f"../../../pages/{name}.py")
        return test.run()

    yield open_page
    shared().background.stop()
    shared().desks.close()
    shared.cache_clear()


def raise_again(error: Exception) -> None:
    raise error


def html_of(test: AppTest) -> str:
    """Return all HTML that a page drew, the style sheet left out."""
    return "\n".join(
        str(each.proto.body) for each in test.get("html") if "<style>" not in str(each.proto.body)
    )
