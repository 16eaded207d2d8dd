"""docs/evidence.md and the README's table say what the recorded figures say, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.evidence import CORRECTED, FOLDER, PAGE
from benchmarks.evidence_page import curves, document, real_table, short_table

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_made_of_the_figures() -> None:
    assert PAGE.read_text(encoding="utf-8") == document(FOLDER)
    for place, picture in curves(FOLDER).items():
        assert place.read_text(encoding="utf-8") == picture


def test_the_readmes_tables_are_made_of_the_figures() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert short_table(FOLDER) in readme
    assert real_table(FOLDER) in readme


@pytest.mark.slow
def test_the_figures_come_out_again(tmp_path: Path) -> None:
    from clarify.assembly import open_project
    from clarify.config import Settings
    from clarify.evidence.suites import CORE, RENDERED, compare_methods, prepare_rendered, resampled

    recorded = json.loads((FOLDER / "rendered.json").read_text(encoding="utf-8"))
    if recorded["core"] != CORE:
        pytest.skip(
            f"recorded by core {recorded['core']}, which is {CORE} now: python -m benchmarks evidence"
        )
    settings = Settings(home=tmp_path)
    name = "rendered-waterbirds-medium"  # drawn once: each seed sees a part of it
    project = prepare_rendered(tmp_path, name, lambda of: open_project(settings, of), workers=2)
    draws = resampled(project, RENDERED[name], seeds=recorded["rows"][0]["seeds"])
    found = compare_methods("rendered", draws, methods=("erm", CORRECTED, "rwg"))
    assert {row.validation for row in found.rows} == {"balanced", "ordinary"}
    for row in found.rows:
        same = next(
            each
            for each in recorded["rows"]
            if (each["data_set"], each["validation"], each["method"], each["selection"])
            == (row.data_set, row.validation, row.method, row.selection)
        )
        assert row.worst_group_accuracy.mean == pytest.approx(same["worst_group_accuracy"]["mean"], abs=0.01)
