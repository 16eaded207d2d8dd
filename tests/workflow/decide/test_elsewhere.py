"""Kept descriptions are regression tests of a model that was trained elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.track.runs import DescriptionRun
from clarify.workflow.describe.recording import take_back
from clarify.workflow.model.failures import failures_of
from clarify.workflow.model.models import open_model
from clarify.workflow.model.project import Workspace, split_data
from tests.conftest import DATA_SET, Done

pytestmark = pytest.mark.slow

Clarify = Callable[..., Done]


@pytest.fixture
def project(home: Path) -> Workspace:
    return open_project(Settings(home=home, reviewer="Ada"), DATA_SET)


@pytest.fixture
def elsewhere(project: Workspace, clarify: Clarify, tmp_path: Path) -> Callable[..., str]:
    """Import predictions of validation: those of the base model, but for some images; returns the run."""
    data = split_data(project, "validation")
    before = failures_of(open_model(project), data)
    classes = project.manifest.classes

    def made(*, mended: str = "", broken: str = "") -> str:
        said = [
            classes[label]
            if classes[label] == mended or (right and classes[label] != broken)
            else classes[1 - label]
            for label, right in zip(data.labels, before.right, strict=True)
        ]
        path = tmp_path / f"said-{mended}-{broken}.csv"
        pl.DataFrame({"id": data.ids.tolist(), "predicted": said}).write_csv(path)
        done = clarify("predictions", "import", DATA_SET, str(path), "--model-name", path.stem, "--json")
        assert done.status == 0, done.err
        run: str = done.result["run"]
        return run

    return made


def reasons(done: Done) -> dict[str, bool]:
    return {each["name"]: each["passed"] for each in json.loads(done.out)["reasons"]}


def test_a_model_in_which_the_described_failures_are_gone_passes(
    clarify: Clarify, elsewhere: Callable[..., str], tmp_path: Path
) -> None:
    run = elsewhere(mended="waterbird")
    done = clarify("gate", DATA_SET, run[:8], "--json", "--junit", str(tmp_path / "gate.xml"))
    assert done.status == 0, done.err
    assert set(reasons(done)) == {"corrected", "gain", "classes", "subgroups"}  # nobody knows its control
    assert "waterbird" in (tmp_path / "gate.xml").read_text()


def test_one_that_fails_as_before_or_pays_elsewhere_is_refused(
    clarify: Clarify, elsewhere: Callable[..., str]
) -> None:
    same = clarify("gate", DATA_SET, elsewhere(), "--json")
    assert same.status == 1
    assert not reasons(same)["gain"]
    paid = clarify("gate", DATA_SET, elsewhere(mended="waterbird", broken="landbird"), "--json")
    assert paid.status == 1
    assert not reasons(paid)["subgroups"]


def test_without_a_description_of_another_model_it_is_refused_in_one_line(
    project: Workspace, clarify: Clarify, elsewhere: Callable[..., str]
) -> None:
    run = elsewhere(mended="waterbird")
    for each in project.tracking.runs(DATA_SET, DescriptionRun):
        take_back(project, each.id)
    assert (
        "no failure of another model is kept that it could be checked for"
        in clarify("gate", DATA_SET, run).refusal
    )
