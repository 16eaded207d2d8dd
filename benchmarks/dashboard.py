"""The dashboard at 50,000 validation images and 1,000 classes: a phrase entered to a page updated.

The images' features are random points around their classes; only the class that is looked at has
files behind them. `PHRASES` are entered in a real browser (Debian's chromium) at a quick person's
pace, one every `PACE_S`, then by several people at once; the script's own time is measured by
running it without a browser. Each visitor enters one phrase before the clock runs, so that the
browser's own loading (a plotting library among it) is behind them: on one machine ten browsers that
start at once measure each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from benchmarks.measurement import Measurement

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

VALIDATION, TRAIN, CLASSES, WIDTH = 50_000, 10_000, 1_000, 192
CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser")
PHRASES = (
    "water",
    "forest",
    "night",
    "snow",
    "a red bird",
    "rain",
    "mountain",
    "beach",
    "sunset",
    "fog",
    "lake",
    "river",
    "meadow",
    "desert",
    "farm",
    "moon",
    "sea",
    "sky",
    "sand",
    "grass",
)
NAME = "thousand"
SEEN = 7
"""The class that is looked at."""

PACE_S = 4.0


def measure(reviewers: int = 10) -> list[Measurement]:
    """Return times for one reviewer and several at once; without a browser, the script alone."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        make_home(home)
        found = script_times(home)
        chromium = next((path for path in CHROMIUM if Path(path).exists()), None)
        if chromium is None:
            return found
        with server(home) as (address, process, ready):
            found += browser_times(address, chromium, process, ready, reviewers)
        return found


def make_home(home: Path) -> None:
    """Make a data set of features without images, and a base model known by its predictions."""
    import polars as pl

    from clarify.assembly import open_project
    from clarify.config import Settings
    from clarify.data.manifest import write_manifest
    from clarify.data.predictions import Predictions
    from clarify.workflow.exchange.imports import import_predictions

    rng = np.random.default_rng(0)
    labels = np.concatenate([np.arange(n) % CLASSES for n in (TRAIN, VALIDATION)])
    names = tuple(f"class {number:04d}" for number in range(CLASSES))
    ids = [f"{row:06d}" for row in range(len(labels))]
    write_manifest(
        home / "data_manifests" / NAME,
        name=NAME,
        title="A thousand classes",
        source="made",
        licence="CC0",
        root="../../images",
        classes=names,
        splits=("train", "validation"),
        attributes={},
        table=pl.DataFrame(
            {
                "id": ids,
                "path": [f"{each}.jpg" for each in ids],
                "label": [names[number] for number in labels],
                "split": ["train"] * TRAIN + ["validation"] * VALIDATION,
            }
        ),
    )
    project = open_project(Settings(home=home), NAME)
    centres = rng.normal(size=(CLASSES, WIDTH))
    features = centres[labels] + rng.normal(size=(len(labels), WIDTH))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    project.store.save(project.manifest, project.encoder.identity, features.astype(np.float32))
    wrong = rng.random(len(labels)) < 0.3
    predicted = np.where(wrong, (labels + rng.integers(1, 5, len(labels))) % CLASSES, labels)
    found = Predictions(ids=tuple(ids), predicted=predicted, probabilities=None, columns={}, reading="names")
    import_predictions(project, found, model_name="made")
    draw_pictures(home / "images", [name for name, k in zip(ids, labels, strict=True) if k == SEEN])


def draw_pictures(folder: Path, ids: Sequence[str]) -> None:
    """Draw the photographs of one class: colours that run into each other, and noise."""
    from PIL import Image

    rng = np.random.default_rng(1)
    folder.mkdir()
    for name in ids:
        corners = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
        picture = np.asarray(corners.resize((500, 375), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(picture + rng.normal(0, 12, picture.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{name}.jpg", quality=90)


def script_times(home: Path) -> list[Measurement]:
    """Run the script for each phrase, and once more for nothing new."""
    from streamlit.testing.v1 import AppTest

    from clarify.ui.server.app import SCRIPT, warm_up
    from clarify.ui.server.shared import shared

    os.environ["CLARIFY_HOME"] = str(home)
    shared.cache_clear()
    warm_up()  # as the server does
    page = AppTest.from_file(str(SCRIPT), default_timeout=120)
    page.session_state["reviewer"] = "Ada"
    page.query_params["class"] = f"class {SEEN:04d}"
    page.run()
    shared().background.wait()  # what the first visit to Classes sets going, once a model
    page.switch_page("../../../pages/describe.py").run()
    times = []
    for phrase in PHRASES:
        field = page.text_input(key="phrase").set_value(phrase)
        began = time.perf_counter()
        field.run()
        times.append(1000 * (time.perf_counter() - began))
        time.sleep(PACE_S / 2)
    times = times[1:]  # the first one loads what pages load once
    shared.cache_clear()
    del os.environ["CLARIFY_HOME"]
    p95 = float(np.quantile(times, 0.95))
    return [
        Measurement(
            name="describe: script p95, phrase to page", figure=p95, unit="ms", target=150, holds=p95 < 150
        ),
        Measurement(name="describe: script median", figure=statistics.median(times), unit="ms"),
    ]


@contextlib.contextmanager
def server(home: Path) -> Iterator[tuple[str, subprocess.Popen[bytes], float]]:
    """Run the dashboard; yields its address, its process, and when it first answered."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "clarify.cli", "serve", "--home", str(home), "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://localhost:{port}"
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                break
            time.sleep(0.1)
        yield address, process, time.perf_counter()
    finally:
        process.terminate()
        process.wait(30)


def browser_times(
    address: str, chromium: str, process: subprocess.Popen[bytes], ready: float, reviewers: int
) -> list[Measurement]:
    return asyncio.run(_browser_times(address, chromium, process, ready, reviewers))


async def _browser_times(
    address: str, chromium: str, process: subprocess.Popen[bytes], ready: float, reviewers: int
) -> list[Measurement]:
    import psutil
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await opened(browser, address)
        first = time.perf_counter() - ready
        await named(page, "Ada")
        await entered(page, ["a bird"])
        alone = await entered(page, PHRASES)
        before = psutil.Process(process.pid).memory_info().rss
        pages = [await opened(browser, address) for _ in range(reviewers)]
        for number, each in enumerate(pages):
            await named(each, f"Reviewer {number}")
            await entered(each, ["a bird"])
        all_times = await asyncio.gather(*(entered(each, PHRASES[:6]) for each in pages))
        grown = (psutil.Process(process.pid).memory_info().rss - before) / reviewers / 1e6
        await browser.close()
    together = [each for times in all_times for each in times]
    one, many = (float(np.quantile(times, 0.95)) for times in (alone, together))
    return [
        Measurement(
            name="first page after the server is up", figure=first, unit="s", target=4, holds=first < 4
        ),
        Measurement(
            name="phrase to page in a browser, p95", figure=1000 * one, unit="ms", target=700, holds=one < 0.7
        ),
        Measurement(
            name=f"the same with {reviewers} reviewers at once, p95",
            figure=many,
            unit="s",
            target=2,
            holds=many < 2,
        ),
        Measurement(name="memory of one more session", figure=grown, unit="MB", target=20, holds=grown < 20),
    ]


async def opened(browser: Browser, address: str, class_name: str = f"class {SEEN:04d}") -> Page:
    """Open the page of a class as somebody new, up to the question who they are."""
    context = await browser.new_context(viewport={"width": 1440, "height": 1000})
    page = await context.new_page()
    await page.goto(f"{address}/describe?class={quote(class_name)}", timeout=120_000)
    await page.get_by_placeholder("Ada Lovelace").wait_for(timeout=120_000)
    return page


async def named(page: Page, name: str) -> None:
    await page.get_by_placeholder("Ada Lovelace").fill(name)
    await page.keyboard.press("Enter")
    await page.get_by_placeholder("a word or a few").wait_for(timeout=120_000)


async def entered(page: Page, phrases: Sequence[str]) -> list[float]:
    """Enter phrases one after the other; returns the seconds until the page was split by each."""
    times = []
    for phrase in phrases:
        await asyncio.sleep(PACE_S * random.uniform(0.5, 1.5))
        await page.get_by_placeholder("a word or a few").fill(phrase)
        began = time.perf_counter()
        await page.keyboard.press("Enter")
        await page.get_by_text(f"with {phrase}", exact=True).wait_for(timeout=120_000)
        times.append(time.perf_counter() - began)
    return times
