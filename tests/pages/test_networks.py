"""The dashboard on a network as base model: the same pages, and a choice of what changes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from clarify.track.mlflow import TrackingStore
from clarify.track.runs import BaseRun, ModelRun
from clarify.workflow.jobs.files import JobFolder
from clarify.workflow.jobs.queue import cancel, jobs
from tests.conftest import DATA_SET, copied
from tests.pages.conftest import Visit, html_of

pytestmark = pytest.mark.slow

SOON_S = 180.0


@pytest.fixture
def home(network_home: Path, tmp_path: Path) -> Iterator[Path]:
    copy = copied(network_home, tmp_path / "home")
    yield copy
    for job in jobs(copy):
        if job.active:
            cancel(copy, job.digest)
    last = time.monotonic() + SOON_S
    while any(JobFolder(copy, job.digest).lives() for job in jobs(copy)):
        assert time.monotonic() < last
        time.sleep(0.05)


def chosen(page: AppTest, label: str, option: str) -> AppTest:
    box = next(each for each in page.selectbox if each.label == label)
    box.select(option).run()
    assert not page.exception
    return page


def test_its_failures_are_shown_and_described_as_a_heads_are(visit: Visit) -> None:
    page = visit("classes")
    assert not page.exception
    assert "right on average" in html_of(page)
    page = visit("describe", **{"class": "waterbird"})
    page.text_input(key="phrase").set_value("land").run()
    assert not page.exception
    html = html_of(page)
    assert "with land" in html
    assert "If retrained with it" in html  # by the last layer, on its own features
    assert "probabilities were not imported" not in html


def test_what_changes_is_chosen_and_the_whole_network_is_trained_in_a_job(visit: Visit, home: Path) -> None:
    page = visit("retrain")
    assert not page.exception
    assert "Train the model again so that these count:" in html_of(page)
    chosen(page, "What counts most", "All groups alike")
    chosen(page, "What changes", "The whole network")
    page.number_input[0].set_value(1).run()
    next(each for each in page.button if each.label == "Retrain").click().run()
    assert not page.exception
    (job,) = jobs(home, DATA_SET)
    assert job.request.recipe.part == "whole"
    assert job.request.recipe.schedule is not None
    assert job.request.recipe.schedule.epochs == 1
    assert "the whole network" in html_of(page)
    last = time.monotonic() + SOON_S
    while JobFolder(home, job.digest).read().active:
        assert time.monotonic() < last
        time.sleep(0.2)
    status = JobFolder(home, job.digest).read().status
    assert status.state == "done", status
    assert status.figures["worst group"] >= 0
    (run,) = TrackingStore(home).runs(DATA_SET, ModelRun)
    assert (run.id, run.part) == (status.run, "whole")
    for name in ("retrain", "compare", "registry"):
        page = visit(name)
        assert not page.exception
    assert "worst described half" in html_of(visit("retrain"))


def differences(page: AppTest) -> list[int]:
    """Return how many images are said to be fixed and to be broken."""
    return [int(each.replace(",", "")) for each in re.findall(r"([\d,]+) images?<", html_of(page))]


def changed(home: Path, base: str, now: str) -> list[int]:
    """Count the validation images that are right now and were not, and the other way round."""
    before, after = (
        pl.read_parquet(TrackingStore(home).artifact(run, "predictions.parquet")).filter(
            pl.col("split") == "validation"
        )["right"]
        for run in (base, now)
    )
    return [int((after & ~before).sum()), int((before & ~after).sum())]


def test_compare_shows_what_each_correction_took_and_any_two_models(visit: Visit, home: Path) -> None:
    from tests.conftest import run_clarify

    assert run_clarify("retrain", DATA_SET, "--objective", "worst_group", home=home).status == 0
    assert (
        run_clarify(
            "retrain",
            DATA_SET,
            "--last-layers",
            "1",
            "--epochs",
            "1",
            "--batch-size",
            "16",
            "--objective",
            "reweight",
            home=home,
        ).status
        == 0
    )
    first = run_clarify("compare", DATA_SET, "--json", home=home).result["models"][1]["run"]
    page = visit("compare", model=first)
    assert not page.exception
    (against,) = [each for each in page.selectbox if each.label == "Of which model"]
    assert against.options == ["Base model (erm)", "Water and land (reweight)"]
    before = differences(page)
    against.select("Water and land (reweight)").run()
    assert not page.exception
    first, last, base = (
        run_clarify("compare", DATA_SET, "--json", home=home).result["models"][k]["run"] for k in (1, 2, 0)
    )
    assert differences(page) == changed(home, last, first)
    assert before == changed(home, base, first)


def test_a_head_has_no_choice_of_what_changes(visit: Visit, home: Path) -> None:
    store = TrackingStore(home)
    network = next(run for run in store.runs(DATA_SET, BaseRun) if "model" in run.settings)
    store.client.delete_run(network.id)
    page = visit("retrain")
    assert not page.exception
    assert not [each for each in page.selectbox if each.label == "What changes"]
