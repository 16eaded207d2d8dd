"""The table of corrections: a row that is added shows up everywhere, a name in none is refused alike."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from clarify.cli import _parser
from clarify.errors import InputError
from clarify.evidence.methods import methods
from clarify.method.fit import erasure
from clarify.method.fit.minibatch import BatchReweight
from clarify.method.fit.objectives import Reweight
from clarify.method.fit.selection import ByAverage
from clarify.track.mlflow import TrackingStore
from clarify.track.runs import ModelRun
from clarify.workflow.jobs.files import Job, JobFolder, JobStatus, Request
from clarify.workflow.model.recipe import (
    ERASURES,
    OBJECTIVES,
    SELECTIONS,
    ErasureRow,
    ObjectiveRow,
    Recipe,
    SelectionRow,
)
from tests.conftest import DATA_SET, Done, copied, run_clarify
from tests.pages.conftest import Visit, html_of, visits

Clarify = Callable[..., Done]
visit = pytest.fixture(visits)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ByNobody(ByAverage):
    """The average under another name."""

    name: ClassVar[str] = "kindly"


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Add a row to each table, as somebody would who has a correction of their own."""
    _parser.cache_clear()  # a process makes it once, from the tables as they are by then
    gently = ObjectiveRow(
        name="gently",
        words="Gently",
        head=lambda groups: Reweight(groups=groups),
        batch=lambda counts: BatchReweight(),
    )
    softly = ErasureRow(
        name="softly", words="Softly", source="Ada, in the garden", estimate=erasure.mean_difference
    )
    monkeypatch.setitem(OBJECTIVES, gently.name, gently)
    monkeypatch.setitem(ERASURES, softly.name, softly)
    monkeypatch.setitem(
        SELECTIONS, ByNobody.name, SelectionRow(name=ByNobody.name, rule=ByNobody(), words="Kindly")
    )
    yield
    _parser.cache_clear()


WAYS = {"objective": "gently", "erase": "softly", "select": "kindly"}


def test_the_help_of_retrain_names_them() -> None:
    text = " ".join(run_clarify("retrain", "--help").out.split())
    assert all(f"; {name}: {name} (default: " in text for name in WAYS.values())


def test_retrain_takes_them_and_records_them_by_their_names(clarify: Clarify, home: Path) -> None:
    told = [word for way, name in WAYS.items() for word in (f"--{way}", name)]
    found = clarify("retrain", DATA_SET, *told, "--json").result
    assert (found["objective"], found["erase"], found["selection"]) == ("gently", "softly", "kindly")
    assert found["name"].startswith("softly erased, gently (")
    (run,) = TrackingStore(home).runs(DATA_SET, ModelRun)
    assert (run.objective, run.selection, run.settings["erase"]) == ("gently", "kindly", "softly")
    rows = clarify("compare", DATA_SET, "--json").result["models"]
    assert rows[1]["name"] == found["name"]


def test_the_new_objective_is_what_is_fitted(clarify: Clarify, home: Path) -> None:
    heads = [
        TrackingStore(home).artifact(
            clarify("retrain", DATA_SET, "--objective", name, "--json").result["run"], "head.safetensors"
        )
        for name in ("gently", "reweight", "worst_group")
    ]
    assert heads[0] == heads[1]
    assert heads[0] != heads[2]


def test_the_retrain_page_offers_them(visit: Visit) -> None:
    page = visit("retrain")
    assert not page.exception
    offered = {each.label: each.options for each in page.selectbox}
    assert "Gently" in offered["What counts most"]
    assert "Softly" in offered["Take out first"]
    assert "Kindly" in offered["Chosen by"]


def test_a_job_keeps_them_and_the_page_tells_of_them_in_words(visit: Visit, home: Path) -> None:
    request = Request(
        data_set=DATA_SET,
        manifest="0" * 64,
        base="1" * 32,
        descriptions=("water",),
        recipe=Recipe(**WAYS),
        encoder="small-clip",
        backbone="",
    )
    status = JobStatus(state="cancelled", at=0)
    job = Job(request=request, phrases=(("landbird", "water"),), by="Ada", asked_at=0, status=status)
    folder = JobFolder(home, job.digest)
    os.makedirs(folder.path)
    folder.write(job)
    assert folder.read().request.recipe == Recipe.from_dict(WAYS)
    page = visit("retrain")
    assert not page.exception
    assert "gently" in html_of(page).lower()
    assert "softly" in html_of(page).lower()


def test_the_evidence_has_a_method_for_each() -> None:
    found = methods()
    assert {"clarify_gently", "clarify_gently_refit", "erase_softly"} <= set(found)
    assert found["erase_softly"].source == "Ada, in the garden"


@pytest.mark.slow
def test_a_whole_network_is_retrained_by_the_new_objective(network_home: Path, tmp_path: Path) -> None:
    home = copied(network_home, tmp_path / "network")
    quick = ("--epochs", "1", "--batch-size", "16")
    done = run_clarify("retrain", DATA_SET, "--whole", "--objective", "gently", *quick, "--json", home=home)
    assert done.status == 0, done.err
    assert (done.result["objective"], done.result["part"]) == ("gently", "whole")
    (run,) = TrackingStore(home).runs(DATA_SET, ModelRun)
    assert (run.objective, run.part) == ("gently", "whole")


@pytest.mark.parametrize(
    ("way", "name", "nearest"),
    [("objective", "grup_dro", "group_dro"), ("erase", "lece", "leace"), ("select", "averag", "average")],
)
def test_a_name_in_no_row_is_refused_alike_everywhere_with_the_nearest(
    made_home: Path, way: str, name: str, nearest: str
) -> None:
    said = []
    for make in (lambda: Recipe(**{way: name}), lambda: Recipe.from_dict({**Recipe().to_dict(), way: name})):
        with pytest.raises(InputError) as refused:
            make()
        said.append(str(refused.value))
    said.append(run_clarify("retrain", DATA_SET, f"--{way}", name, home=made_home).refusal)
    assert len(set(said)) == 1
    assert said[0].startswith(f"{way} '{name}' is unknown; nearest: {nearest}")
