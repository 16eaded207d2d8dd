"""Every malformed input is refused with one clear line, and leaves nothing behind."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import tests.malformed
from tests.conftest import run_clarify, stamps
from tests.malformed.case import Case

NAMES = sorted(
    module.name
    for module in pkgutil.iter_modules(tests.malformed.__path__)
    if module.name.startswith("cases_")
)
CASES: list[tuple[str, Case]] = [
    (name, case) for name in NAMES for case in importlib.import_module(f"tests.malformed.{name}").CASES
]
NOT_CONTENT = {".lock", "lock"}


def content(home: Path) -> dict[str, tuple[int, int, int]]:
    """Stamp every file of a home, the empty files that processes lock left out."""
    return {name: stamp for name, stamp in stamps(home).items() if Path(name).name not in NOT_CONTENT}


@pytest.mark.parametrize(("group", "case"), CASES, ids=[f"{group}: {case.name}" for group, case in CASES])
def test_it_is_refused_with_one_clear_line(group: str, case: Case, home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    command = case.make(home, outside)
    before = content(home)
    done = run_clarify(*command, home=home)
    if case.answers:
        assert done.out.strip(), done.err
        done = dataclasses.replace(done, out="")
    line = done.refusal
    assert re.search(case.expected, line), line
    assert len(line) < 700, line
    if not case.changes:
        assert content(home) == before


def test_there_are_as_many_as_promised_and_each_has_a_name_of_its_own() -> None:
    names = [(group, case.name) for group, case in CASES]
    assert len(set(names)) == len(names)
