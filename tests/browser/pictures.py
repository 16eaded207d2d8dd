"""Take the tutorial's pictures into docs/pictures.

clarify demo --headless --home /data/birds --reviewer Grace
python -m tests.browser.pictures /data/birds
"""

from __future__ import annotations

import io
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser.conftest import serving

PLACE = Path(__file__).resolve().parents[2] / "docs" / "pictures"
SIZE = {"width": 1200, "height": 760}
COLOURS = 96
"""A page has few colours; so few keep a picture under 100 kB and its photographs good enough."""


def keep(page: Any, name: str) -> None:
    page.wait_for_timeout(6000)  # until the last picture is there
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(PLACE / f"{name}.png", optimize=True)


def take(page: Any, address: str) -> None:
    """Go the way of the tutorial, from the worst class to the registry."""
    page.goto(address)
    page.get_by_placeholder("Ada Lovelace").fill("Ada")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=re.compile("waterbird")).first.wait_for()
    keep(page, "classes")
    page.get_by_role("link", name=re.compile("waterbird")).first.click()
    page.get_by_placeholder("a word or a few").wait_for()
    keep(page, "describe-first")
    page.get_by_placeholder("a word or a few").fill("land")
    page.keyboard.press("Enter")
    page.get_by_text("If retrained with it").wait_for()
    keep(page, "describe")
    for name in ("Retrain", "Compare", "Registry"):
        page.get_by_role("link", name=re.compile(f"^{name}")).first.click()
        if name == "Registry":  # nothing is at hand by itself
            page.get_by_role("combobox", name="Model").click()
            page.get_by_role("option", name=re.compile("^Red")).click()
        keep(page, name.lower())


def main(home: str) -> None:
    """Serve the home and take the pictures."""
    from playwright.sync_api import sync_playwright

    PLACE.mkdir(exist_ok=True)
    log = PLACE.parents[1] / "build" / "pictures.log"
    log.parent.mkdir(exist_ok=True)
    with serving(Path(home), log) as address, sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(120_000)
        take(page, address)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
