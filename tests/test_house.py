"""What holds for every module beside its imports: one name for one class, and runs that are typed."""

from __future__ import annotations

import ast

import pytest

from tests.test_architecture import ROOT, modules, sources


def repeated_classes(found: dict[str, str]) -> dict[str, list[str]]:
    """Return the public classes of which there are several of one name, with their modules."""
    places: dict[str, list[str]] = {}
    for module, source in found.items():
        for node in ast.parse(source).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    return {name: modules for name, modules in places.items() if len(modules) > 1}


def test_no_two_public_classes_share_a_name() -> None:
    assert repeated_classes(modules()) == {}


def test_the_test_of_names_can_fail() -> None:
    found = {
        "a": "class Plan:\n    pass",
        "b": "class Plan:\n    pass\nclass _Own:\n    pass",
        "c": "class _Own: ...",
    }
    assert repeated_classes(found) == {"Plan": ["a", "b"]}


UNTYPED = {"tags", "params", "metrics"}
"""What of a run MLflow keeps as text; only `track` reads it, everybody else typed runs."""


def read_as_text(source: str) -> list[str]:
    """List where a source reads what runs keep as text, or compares with what a flag is kept as.

    A method that is called so is none of it: `RunContext.tags` writes.
    """
    tree = ast.parse(source)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    wrong = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in UNTYPED and id(node) not in called:
            wrong.append(f"line {node.lineno}: .{node.attr}")
        elif isinstance(node, ast.Compare):
            values = [each for side in (node.left, *node.comparators) for each in ast.walk(side)]
            if any(isinstance(each, ast.Constant) and each.value == "true" for each in values):
                wrong.append(f'line {node.lineno}: compared with "true"')
    return wrong


def test_only_track_reads_runs_as_text() -> None:
    others = [*(ROOT / "pages").glob("*.py"), *(ROOT / "benchmarks").glob("*.py"), *sources()]
    named = {path.relative_to(ROOT).as_posix().removeprefix("clarify/"): path for path in others}
    found = {name: read_as_text(path.read_text()) for name, path in named.items()}
    assert {name: lines for name, lines in found.items() if lines and not name.startswith("track/")} == {}


@pytest.mark.parametrize(
    "source",
    [
        'kept = run.tags["kept"]',
        'seed = run.params.get("seed", "0")',
        "values = list(run.metrics)",
        'f"{run.tags}"',
        'kept = text == "true"',
        'if (kept, parent) != ("true", base): pass',
    ],
)
def test_the_test_of_runs_as_text_can_fail(source: str) -> None:
    assert read_as_text(source) != []


def test_the_test_of_runs_as_text_lets_records_be_written() -> None:
    assert read_as_text('tags = context.tags("cell", oracle="true")') == []
