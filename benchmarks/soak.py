"""Sessions come and go for long: does the dashboard's server grow.

Ten at a time open the page in a real browser (Debian's chromium), give a name, test a phrase, keep each other
one, and leave. `$SOAK_SECONDS` says for how long (300 unless given; 28800 is a working day). The server's
memory and open files are looked at after each round; the first third is warm-up.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.dashboard import CHROMIUM, PHRASES, entered, named, opened, server
from benchmarks.measurement import Measurement

SESSIONS, CLASS = 10, "waterbird"
SECONDS = float(os.environ.get("SOAK_SECONDS", "300"))
MOST_GROWTH, MOST_FILES = 0.05, 10
"""Of the memory after the warm-up, and of open files: what a session leaves behind would add up to more."""


def measure() -> list[Measurement]:
    """Return by how much the server grew after its warm-up."""
    chromium = next((path for path in CHROMIUM if Path(path).exists()), None)
    if chromium is None:
        raise SystemExit("Debian's chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="clarify-") as folder:
        home = Path(folder) / "home"
        command = [sys.executable, "-m", "clarify.cli", "demo", "--headless", "--home", str(home)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with server(home) as (address, process, _):
            seen = asyncio.run(_rounds(address, chromium, process.pid))
    warm = [each for each in seen if each[0] >= SECONDS / 3] or seen[-2:]
    memory = np.array([each[1] for each in warm])
    files = np.array([each[2] for each in warm])
    grown = float(memory[-1] / memory[0] - 1)
    return [
        Measurement(
            name=f"sessions that came and went in {SECONDS:.0f} s", figure=SESSIONS * len(seen), unit=""
        ),
        Measurement(name="the server's memory after the warm-up", figure=memory[0] / 1e6, unit="MB"),
        Measurement(
            name="by how much it grew from then on",
            figure=grown,
            unit="share",
            target=MOST_GROWTH,
            holds=grown <= MOST_GROWTH,
        ),
        Measurement(
            name="open files and connections more than then",
            figure=files[-1] - files[0],
            unit="",
            target=MOST_FILES,
            holds=bool(files[-1] - files[0] <= MOST_FILES),
        ),
    ]


async def _rounds(address: str, chromium: str, pid: int) -> list[tuple[float, int, int]]:
    """Let rounds of sessions come and go; returns seconds, bytes and open files after each."""
    import psutil
    from playwright.async_api import async_playwright

    process, began, seen = psutil.Process(pid), time.monotonic(), []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        while time.monotonic() - began < SECONDS or len(seen) < 2:
            pages = await asyncio.gather(*(opened(browser, address, CLASS) for _ in range(SESSIONS)))
            for number, page in enumerate(pages):
                await named(page, f"Round {len(seen)} {number}")
                await entered(page, [random.Random(len(seen) * SESSIONS + number).choice(PHRASES)])
                if number % 2:
                    await page.get_by_role("button", name="Keep it").click()
                    await page.get_by_role("button", name="Kept · undo").wait_for(timeout=120_000)
                await page.context.close()
            seen.append((time.monotonic() - began, process.memory_info().rss, process.num_fds()))
            print(f"  {seen[-1][0]:.0f} s: {seen[-1][1] / 1e6:.0f} MB, {seen[-1][2]} files", file=sys.stderr)
        await browser.close()
    return seen
