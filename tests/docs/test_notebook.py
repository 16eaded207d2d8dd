"""docs/notebook.ipynb is executed, cell by cell, on the tests' small home."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATA_SET
from tests.docs.tables import DOCS

pytestmark = pytest.mark.slow

NAME = "rendered-waterbirds"


def notebook() -> Any:
    import nbformat

    return nbformat.read(DOCS / "notebook.ipynb", as_version=4)


def test_it_is_stored_without_what_a_run_left() -> None:
    for cell in notebook().cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's own packages
def test_every_cell_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent))
    book = notebook()
    book.cells = [cell for cell in book.cells if "data draw" not in cell.source]
    for cell in book.cells:
        cell.source = cell.source.replace(NAME, DATA_SET)
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(home)}}).execute()
    verdict = next(cell for cell in book.cells if cell.source.endswith("\nverdict"))
    assert verdict.outputs
