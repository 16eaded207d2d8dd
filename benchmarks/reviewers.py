"""Many reviewers at once: what they keep is there, once, and *Keep it* answers soon.

Fifty sessions of one process keep twenty phrases each at the same moment, on SQLite and, where Debian's
PostgreSQL is installed, on that: each is to be listed once. Then people test phrases and keep them, on the
drawn birds with a model that can be retrained: by Streamlit's protocol, which is what the server takes, and
in real browsers (Debian's chromium), which draw on the same cores.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.dashboard import CHROMIUM, PACE_S, PHRASES, entered, named, opened, server
from benchmarks.measurement import Measurement
from benchmarks.sessions import Session
from clarify.assembly import open_project
from clarify.config import Settings
from clarify.errors import ClarifyError
from clarify.track.runs import DescriptionRun
from clarify.workflow.describe.phrases import try_phrase
from clarify.workflow.describe.recording import record_phrase
from clarify.workflow.model.failures import failures_of
from clarify.workflow.model.models import open_model
from clarify.workflow.model.project import Workspace, split_data
from clarify.workflow.shows.demo import DATA_SET

if TYPE_CHECKING:
    from playwright.async_api import Page

SESSIONS, EACH = 50, 20
PEOPLE, KEEPS = 8, 4
CLASS, FIELD = "waterbird", "What the images have"
P95_S = 2.0


def measure() -> list[Measurement]:
    """Return what was kept of what was said, and how long people waited for it."""
    with tempfile.TemporaryDirectory(prefix="clarify-") as folder:
        home = Path(folder) / "home"
        command = [sys.executable, "-m", "clarify.cli", "demo", "--headless", "--home", str(home)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = _kept("SQLite", open_project(Settings(home=home), DATA_SET), home)
        found += _on_postgresql(home, Path(folder))
        chromium = next((path for path in CHROMIUM if Path(path).exists()), None)
        with server(home) as (address, _, _):
            found += asyncio.run(_by_protocol(address, home))
            if chromium is not None:
                found += asyncio.run(_waited(address, chromium))
    return found


def _kept(store: str, project: Workspace, home: Path) -> list[Measurement]:
    """Let every session keep its phrases at once, and count what is listed."""
    local = open_project(Settings(home=home), DATA_SET)
    failures = failures_of(open_model(local), split_data(local, "validation"))
    tried = [try_phrase(local, failures, CLASS, phrase, n_tried=1) for phrase in PHRASES[:EACH]]
    begin = Barrier(SESSIONS)

    def session(number: int) -> list[float]:
        own = dataclasses.replace(project, reviewer=f"Session {number}")
        took = []
        begin.wait()
        for each in tried:
            began = time.perf_counter()
            try:
                record_phrase(own, failures, each, keep=True)
                took.append(time.perf_counter() - began)
            except ClarifyError as error:
                print(f"refused: {error}", file=sys.stderr)
        return took

    began = time.perf_counter()
    with ThreadPoolExecutor(SESSIONS) as pool:
        took = [each for times in pool.map(session, range(SESSIONS)) for each in times]
    while project.tracking.outbox.names() and project.tracking.deliver():
        pass
    whole = time.perf_counter() - began
    listed = Counter(
        (run.by, run.phrase)
        for run in project.tracking.runs(DATA_SET, DescriptionRun)
        if run.by.startswith("Session ")
    )
    asked = SESSIONS * EACH
    shape = f"{store}: {SESSIONS} sessions x {EACH} descriptions"
    return [
        _exactly(f"{shape}, acknowledged", len(took), asked),
        _exactly(f"{shape}, kept", len(listed), asked),
        _exactly(f"{shape}, doubled", sum(count > 1 for count in listed.values()), 0),
        _exactly(f"{shape}, left in the outbox", len(project.tracking.outbox.names()), 0),
        Measurement(name=f"{shape}, until all are in the store", figure=whole, unit="s"),
        Measurement(name=f"{shape}, p95 of one", figure=float(np.quantile(took, 0.95)), unit="s"),
    ]


def _exactly(name: str, figure: int, target: int) -> Measurement:
    return Measurement(name=name, figure=figure, unit="descriptions", target=target, holds=figure == target)


def _on_postgresql(home: Path, folder: Path) -> list[Measurement]:
    from tests.track.elsewhere import Postgres, postgres_programs

    programs = postgres_programs()
    if programs is None:
        print("PostgreSQL is not installed: apt-get install postgresql", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory(prefix="clarify-postgres-") as place:
        postgres = Postgres(Path(place), programs)
        postgres.start()
        try:
            uri = postgres.make_database("reviewers")
            elsewhere = folder / "elsewhere"
            shutil.copytree(home, elsewhere, ignore=shutil.ignore_patterns("mlruns"))
            settings = Settings(home=elsewhere, tracking_uri=uri)
            return _kept("PostgreSQL", open_project(settings, DATA_SET), home)
        finally:
            postgres.stop()


async def _by_protocol(address: str, home: Path) -> list[Measurement]:
    """Let people without browsers test and keep phrases at once, at their own pace."""
    tested, kept = [], []

    async def person(number: int) -> None:
        chosen = random.Random(100 + number).sample(PHRASES, KEEPS)
        who = f"Person {number} without a browser"
        async with Session(address, "describe", f"class={CLASS}", home=home, name=who) as session:
            await session.fill(FIELD, "a bird")
            for phrase in chosen:
                began = time.perf_counter()
                await session.fill(FIELD, phrase)
                tested.append(time.perf_counter() - began)
                await asyncio.sleep(PACE_S * random.uniform(0.25, 0.75))
                began = time.perf_counter()
                await session.press("Keep it", until="Kept · undo")
                kept.append(time.perf_counter() - began)

    await asyncio.gather(*map(person, range(PEOPLE)))
    p95 = float(np.quantile(kept, 0.95))
    shape = f"{PEOPLE} reviewers at once by the protocol"
    return [
        Measurement(name=f"Keep it, {shape}, p95", figure=p95, unit="s", target=P95_S, holds=p95 < P95_S),
        Measurement(name="the same, median", figure=float(np.median(kept)), unit="s"),
        Measurement(
            name=f"phrase to page with its preview, {shape}, p95",
            figure=float(np.quantile(tested, 0.95)),
            unit="s",
        ),
        Measurement(name="the same, median", figure=float(np.median(tested)), unit="s"),
    ]


async def _waited(address: str, chromium: str) -> list[Measurement]:
    """Let people test and keep phrases at once, at their own pace."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        pages = [await opened(browser, address, CLASS) for _ in range(PEOPLE)]
        for number, page in enumerate(pages):
            await named(page, f"Person {number}")
            await entered(page, ["a bird"])
        said = await asyncio.gather(
            *(_keeping(page, random.Random(n).sample(PHRASES, KEEPS)) for n, page in enumerate(pages))
        )
        await browser.close()
    took = [each for times in said for each in times]
    p95 = float(np.quantile(took, 0.95))
    return [
        Measurement(
            name=f"Keep it, {PEOPLE} reviewers at once in browsers, p95",
            figure=p95,
            unit="s",
            target=P95_S,
            holds=p95 < P95_S,
        ),
        Measurement(name="the same, median", figure=float(np.median(took)), unit="s"),
    ]


async def _keeping(page: Page, phrases: Sequence[str]) -> list[float]:
    """Test phrases and keep each; returns the seconds from the click until the page says so."""
    took = []
    for phrase in phrases:
        await entered(page, [phrase])
        await asyncio.sleep(PACE_S * random.uniform(0.25, 0.75))
        began = time.perf_counter()
        await page.get_by_role("button", name="Keep it").click()
        await page.get_by_role("button", name="Kept · undo").wait_for(timeout=120_000)
        took.append(time.perf_counter() - began)
    return took
