"""The built documentation: it is whole, it is of this source, and nothing in it comes from elsewhere."""

from __future__ import annotations

import dataclasses
import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from clarify.cli import FLAGS
from clarify.config import PREFIX, VARIABLES, Settings, read_settings
from docs import hooks
from tests.conftest import run_clarify
from tests.docs.site import ROOT, build
from tests.docs.tables import sections

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "use": "href"}
"""What a page loads by itself; where a link of text leads is the reader's choice."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("site"))


class Loads(HTMLParser):
    """Collects the addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(LOADED.get(tag, ""))
        if address:
            self.found.append(address)


def elsewhere(text: str, *, style: bool = False) -> list[str]:
    """Return the addresses on other hosts that a page or a style loads."""
    if style:
        found = re.findall(r"""(?:url\(|@import\s*)["']?([^"')\s;]+)""", text)
    else:
        loads = Loads()
        loads.feed(text)
        found = loads.found
        for block in re.findall(r"<style[^>]*>(.*?)</style>", text, flags=re.S):
            found += elsewhere(block, style=True)
    return [each for each in found if re.match(r"(https?:)?//", each)]


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_no_page_and_no_style_loads_anything_from_elsewhere(site: Path) -> None:
    pages, styles = list(site.rglob("*.html")), list(site.rglob("*.css"))
    assert len(pages) > 15
    assert styles
    for path in (*pages, *styles):
        assert elsewhere(path.read_text(encoding="utf-8"), style=path.suffix == ".css") == [], path


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example.org/a.js"></script>',
        '<link rel="stylesheet" href="//fonts.example.org/css">',
        "<style>@import 'https://example.org/a.css';</style>",
        "<style>a { background: url(http://example.org/a.woff) }</style>",
    ],
)
def test_the_test_of_addresses_can_fail(text: str) -> None:
    assert elsewhere(text) != []


def test_the_pages_of_commands_say_what_help_says(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(hooks.WIDTH))
    told = text_of(site / "reference" / "commands.html")
    names = hooks.commands_shown()
    assert {"embed", "retrain", "data import folder", "predictions import"} <= set(names)
    for name in ("", *names):
        assert run_clarify(*name.split(), "--help").out.strip() in told, name


def test_every_setting_is_documented_with_its_flag_variable_and_default(tmp_path: Path) -> None:
    rows = {names[0]: rest for names, rest in sections("reference/settings.md")["Settings"]}
    # In the file it is called `encoder`.
    fields = {field.name for field in dataclasses.fields(Settings)} - {"usual_encoder"}
    assert set(rows) == fields
    usual = read_settings({}, {}, tmp_path)
    for name in fields:
        flag, variable, default, _ = rows[name].split(" | ")
        assert flag.strip("`") == (f"--{name}" if name in FLAGS else "–")
        assert variable.strip("` ") == ("–" if name == "gate" else VARIABLES.get(name, PREFIX + name.upper()))
        if default.startswith("`"):
            assert default.strip("`") == str(getattr(usual, name))


def test_the_page_of_the_face_shows_every_public_name(site: Path) -> None:
    import clarify

    page = (site / "reference" / "python.html").read_text(encoding="utf-8")
    for name in clarify.__all__:
        if not name.startswith("__"):
            assert re.search(rf'id="clarify[\w.]*\.{name}"', page), name


def test_the_notebook_is_a_page_and_a_file(site: Path) -> None:
    assert (site / "notebook.ipynb").is_file()
    assert "clarify.open" in text_of(site / "notebook.html")


def test_the_picture_of_the_plan_has_every_part_and_points_down_only(site: Path) -> None:
    arrows = hooks.imports_of_parts(ROOT / "clarify")
    picture = (site / "explanation" / "clarify.svg").read_text(encoding="utf-8")
    assert {"method", "workflow", "track", "cli", "errors"} <= set(arrows)
    for part in arrows:
        assert f">{part}</text>" in picture
    levels = hooks.heights(arrows)
    assert all(levels[part] > levels[below] for part in arrows for below in arrows[part])


def test_an_arrow_that_a_longer_way_says_as_well_is_left_out() -> None:
    arrows = {"cli": {"workflow", "errors"}, "workflow": {"errors"}, "errors": set()}
    assert hooks.heights(arrows) == {"cli": 2, "workflow": 1, "errors": 0}
    assert hooks.needed(arrows) == {("cli", "workflow"), ("workflow", "errors")}


def test_the_table_of_imports_is_that_of_the_test_of_architecture(site: Path) -> None:
    from tests.test_architecture import ALLOWED

    for part, imported in hooks.imports_of_parts(ROOT / "clarify").items():
        assert imported <= ALLOWED[part], part
    told = text_of(site / "explanation" / "architecture.html")
    assert "(table of" not in told
    assert "workflow" in told
