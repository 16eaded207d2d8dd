"""The documentation's tables, read as a person reads them: by section, a row's names in back quotes."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
Rows = list[tuple[list[str], str]]


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def commands(name: str) -> list[str]:
    """Return the commands of a page, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", page(name), flags=re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line.partition(" # ")[0].strip() for line in lines if line.strip()]


def sections(name: str) -> dict[str, Rows]:
    """Return by heading the rows of a page: the names in the first cell, and the rest of the row."""
    found: dict[str, Rows] = {}
    heading = ""
    for line in page(name).splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| ") and not line.startswith(("| key |", "| name |", "| setting |", "|---")):
            first, _, rest = line.strip("| ").partition(" | ")
            found.setdefault(heading, []).append((re.findall(r"`([^`]+)`", first), rest))
    return found


def matches(pattern: str, name: str) -> bool:
    """Whether a documented name, with ``{anything}`` in it, is this one."""
    parts = re.split(r"\{[^}]*\}", pattern)
    return re.fullmatch(r"[^\[\]]+".join(map(re.escape, parts)), name) is not None
