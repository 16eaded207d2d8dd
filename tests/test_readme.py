"""The README's commands and figures: what it says is what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shell_blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", README, flags=re.S)


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 160


def test_ci_runs_exactly_the_readmes_test_command() -> None:
    command = next(block.strip() for block in shell_blocks() if "pytest" in block)
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_every_link_into_the_repository_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_figures_of_the_small_clip_are_those_of_its_record() -> None:
    record = json.loads((ROOT / "clarify" / "demo" / "small_clip" / "record.json").read_text())
    page = (ROOT / "docs" / "explanation" / "small-clip.md").read_text(encoding="utf-8")
    figures = record["figures"]
    for name in ("background", "subject", "colour", "bird"):
        assert f"{figures['accuracy'][name]:.4f}".rstrip("0").lstrip("0") in page
    assert str(record["taught_words"]) in page


def test_the_python_example_runs() -> None:
    example = re.search(r"```python\n(.*?)```", README, flags=re.S)
    assert example is not None
    exec(example.group(1), {})
