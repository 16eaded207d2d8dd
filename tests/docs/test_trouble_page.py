"""docs/trouble.md quotes refusals: each stands in the source in these words."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.tables import DOCS, page

PACKAGE = DOCS.parent / "clarify"
ELLIPSIS = "…"


def quoted(text: str) -> list[str]:
    """Return the refusals that a page quotes, each a line of its own."""
    return re.findall(r"^> `+ ?(.+?) ?`+$", text, flags=re.M)


def messages() -> list[str]:
    """Return every text in the package, with an ellipsis for each value that is put into it."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else ELLIPSIS for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


MESSAGES = messages()


def stands_in_the_source(refusal: str) -> bool:
    """Whether its words stand in one message, in this order."""
    words = ".*".join(re.escape(part) for part in refusal.split(ELLIPSIS))
    return any(re.search(words, message) for message in MESSAGES)


@pytest.mark.parametrize("refusal", quoted(page("trouble.md")))
def test_a_quoted_refusal_stands_in_the_source(refusal: str) -> None:
    assert stands_in_the_source(refusal), refusal


def test_the_test_of_refusals_can_fail() -> None:
    assert not stands_in_the_source("data set …: no description of mine; keep one")
    assert quoted("> `a …`\n> b\n") == ["a …"]


def test_every_refusal_has_a_cause_or_a_remedy_below_it() -> None:
    text = page("trouble.md")
    for refusal in quoted(text):
        below = text.partition(refusal)[2].partition("\n")[2].lstrip("\n")
        assert below
        assert below[0] not in ">#"
