"""A real browser on a real server: Debian's chromium through Playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import copied
from tests.warm import Warm

SERVE = """
import os, sys
import tests.warm
from clarify.cli import main
os.execv = tests.warm.exec_warm
sys.exit(main(sys.argv[1:]))
"""
"""`clarify serve`, which becomes Streamlit."""

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
"""Ignored by git: every page as it was last seen."""


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if binary is None:
        pytest.skip("Debian's chromium is not installed")
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def served(home: Path, tmp_path: Path) -> Iterator[str]:
    """Run the dashboard on the copied home as `clarify serve` does; yields its address."""
    with serving(home, tmp_path / "server.log") as address:
        yield address


@pytest.fixture(scope="session")
def common_home(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which tests only look, and keep phrases of their own."""
    return copied(made_home, tmp_path_factory.mktemp("common") / "home")


@pytest.fixture(scope="session")
def common(common_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one dashboard for all of these; yields its address."""
    with serving(common_home, tmp_path_factory.mktemp("server") / "server.log") as address:
        yield address


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def serving(
    home: Path, log: Path, *, port: int = 0, folder: Path | None = None, base_path: str = "", **settings: str
) -> Iterator[str]:
    """Run the dashboard of a home, from a folder; yields its address."""
    port = port or free_port()
    command = ["serve", "--home", str(home), "--port", str(port)]
    command += ["--base-path", base_path] if base_path else []
    with open(log, "ab") as file:
        process = Warm(
            "-c", SERVE, *command, stdout=file, stderr=file, env={**os.environ, **settings}, cwd=folder
        )
        try:
            address = f"http://localhost:{port}/{base_path}".rstrip("/")
            for _ in range(240):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                    break
                assert process.poll() is None, log.read_text()
                time.sleep(0.25)
            yield address
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture
def visitor(chromium: Any, served: str) -> Iterator[Callable[..., Any]]:
    """Come to the test's own server; see `visiting`."""
    with visiting(chromium, served) as come:
        yield come


@pytest.fixture
def guest(chromium: Any, common: str) -> Iterator[Callable[..., Any]]:
    """Come to the common server; see `visiting`."""
    with visiting(chromium, common) as come:
        yield come


@contextlib.contextmanager
def visiting(chromium: Any, server: str) -> Iterator[Callable[..., Any]]:
    """Yield what comes to an address of a server as somebody of a name, and returns the page."""
    contexts = []

    def come(address: str, name: str = "Ada", width: int = 1440) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 1000})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(server + address)
        page.get_by_placeholder("Ada Lovelace").fill(name)
        page.keyboard.press("Enter")
        page.get_by_text(f"reviewer · {name}").wait_for()
        return page

    yield come
    for context in contexts:
        context.close()


def until(page: Any, holds: Callable[[], bool]) -> None:
    """Wait a minute at most for what a page comes to: how long a busy server takes is nobody's to say."""
    for _ in range(120):
        if holds():
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"{page.url} did not come to it in a minute")


def seen(page: Any, name: str) -> None:
    """Keep what a page looks like, wide and narrow."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for width in (900, 1440):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_timeout(600)
        page.screenshot(path=SCREENSHOTS / f"{name}-{width}.png")
