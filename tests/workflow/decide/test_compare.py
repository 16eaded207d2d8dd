"""Models side by side: by classes alone, the champion, intervals, and halves that are the same or not."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.track.promotion import Gate
from clarify.track.runs import BaseRun, ModelRun
from clarify.workflow.decide.compare import compare, worst_halves
from clarify.workflow.decide.compared import CONTROL, DESCRIBED, NO_CONTROL, NO_ORDER, Compared, remarks
from clarify.workflow.decide.promote import promote
from clarify.workflow.describe.grouping import groups_by_descriptions
from clarify.workflow.model.evaluating import all_splits
from clarify.workflow.model.project import Workspace
from tests.conftest import DATA_SET, Done, copied, run_clarify

pytestmark = pytest.mark.slow

Clarify = Callable[..., Done]
LENIENT = Gate(confidence=0.5, max_class_loss=0.99, max_subgroup_loss=0.99)
TEST_IMAGES = 200


@pytest.fixture(scope="module")
def project(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The tiny birds, retrained with the same phrases in four ways, two of them with one control."""
    home = copied(made_home, tmp_path_factory.mktemp("compared") / "home")
    for way in ((), ("--refit",), ("--erase", "mean_difference"), ("--select", "average")):
        done = run_clarify("retrain", DATA_SET, *way, home=home)
        assert done.status == 0, done.err
    return open_project(Settings(home=home, reviewer="Ada"), DATA_SET)


@pytest.fixture(scope="module")
def rows(project: Workspace) -> tuple[Compared, ...]:
    return compare(project, split="test")


def predictions(project: Workspace, run: str, split: str = "test") -> pl.DataFrame:
    table = pl.read_parquet(io.BytesIO(project.tracking.artifact(run, "predictions.parquet")))
    return table.filter(pl.col("split") == split)


def of(project: Workspace, kind: type[ModelRun] | type[BaseRun]) -> list[str]:
    return [run.id for run in project.tracking.runs(DATA_SET, kind)]


def test_each_recipe_has_one_row_by_classes_alone_whatever_was_erased(rows: tuple[Compared, ...]) -> None:
    assert [row.kind for row in rows] == ["base", *["retraining"] * 4, *[CONTROL] * 3]
    assert [row.name for row in rows[5:]] == [
        "retrained by classes alone (reweight)",
        "retrained by classes alone (reweight + refit)",
        "retrained by classes alone (reweight, chosen by average)",
    ]
    assert [row.run_id for row in rows[5:]] == [rows[k].run_id for k in (3, 2, 4)]  # the newest one's
    assert all(row.gains for row in rows[1:])


@pytest.mark.parametrize("split", ["validation", "test"])
def test_what_the_control_says_is_that_of_the_same_fit_without_phrases(
    project: Workspace, split: str
) -> None:
    from clarify.workflow.model.recipe import Recipe
    from clarify.workflow.retrain.heads import correct_head

    splits = all_splits(project)
    refitted = of(project, ModelRun)[2]
    recorded = json.loads(project.tracking.artifact(refitted, "descriptions.json"))
    from clarify.method.phrases.descriptions import Description

    described = [Description.from_dict(each) for each in recorded]
    groups = groups_by_descriptions(project, described, splits)
    control = correct_head(project, splits, groups, Recipe(refit=True), control=True)
    # On validation by heads that were not fitted to the image.
    said = control.predicted if split == "validation" else control.fit.head.predict(splits[split].features)
    kept = predictions(project, refitted, split)
    assert kept["control"].to_list() == [project.manifest.classes[label] for label in said]
    row = next(row for row in compare(project, split=split) if row.name.endswith("(reweight + refit)"))
    assert row.figures["average_accuracy"] == np.mean(said == splits[split].labels)


def test_every_accuracy_on_test_has_its_interval(project: Workspace, rows: tuple[Compared, ...]) -> None:
    for row in rows:
        assert row.intervals.keys() == row.figures.keys() - {"gap"}
        for key, interval in row.intervals.items():
            assert interval.low <= row.figures[key] == interval.estimate <= interval.high
        right = round(row.figures["average_accuracy"] * TEST_IMAGES)
        by_hand = binomtest(right, TEST_IMAGES).proportion_ci(method="wilson")
        interval = row.intervals["average_accuracy"]
        assert (interval.low, interval.high) == pytest.approx((by_hand.low, by_hand.high))
    shown = run_clarify("compare", DATA_SET, "--split", "test", home=project.home).out
    told = run_clarify("compare", DATA_SET, "--split", "test", "--json", home=project.home).result["models"]
    for row, values in zip(rows, told, strict=True):
        ends = row.intervals["average_accuracy"]
        assert f"{100 * ends.estimate:.1f} % ({100 * ends.low:.0f}–{100 * ends.high:.0f})" in shown
        assert values["intervals"]["worst_group_accuracy"]["low"] == row.intervals["worst_group_accuracy"].low


@pytest.mark.parametrize("split", ["validation", "test"])
def test_base_and_control_are_judged_on_the_halves_of_the_correction(project: Workspace, split: str) -> None:
    from clarify.method.phrases.descriptions import Description

    newest, base = project.tracking.runs(DATA_SET, ModelRun)[0], of(project, BaseRun)[0]
    recorded = json.loads(project.tracking.artifact(newest.id, "descriptions.json"))
    described = [Description.from_dict(each) for each in recorded]
    groups = groups_by_descriptions(project, described, all_splits(project))[split]
    right = {
        "base": predictions(project, base, split)["right"].to_numpy(),
        "now": predictions(project, newest.id, split)["right"].to_numpy(),
    }
    worst = {
        name: min(found[groups.index == number].mean() for number in range(4))
        for name, found in right.items()
    }
    found = compare(project, split=split)
    row = next(row for row in found if row.run_id == newest.id)
    assert found[0].figures[DESCRIBED] == row.base_half == worst["base"]
    assert row.figures[DESCRIBED] == worst["now"]
    assert "waterbird" in row.half or "landbird" in row.half
    assert len({row.halves for row in found}) == 1
    assert all(DESCRIBED in row.figures for row in found)
    # MLflow and the registry's page say the same.
    logged = newest.figures(split)
    assert (logged[DESCRIBED], logged[f"base_{DESCRIBED}"]) == (worst["now"], worst["base"])
    base_run = project.tracking.runs(DATA_SET, BaseRun)[0]
    assert worst_halves(project, newest, base_run, split) == (worst["now"], worst["base"])
    assert DESCRIBED not in base_run.figures(split)


def test_rows_of_other_halves_are_not_ranked(home: Path, clarify: Clarify) -> None:
    assert clarify("retrain", DATA_SET).status == 0
    run = clarify("describe", DATA_SET, "landbird", "grass", "--json").result["run"]
    assert clarify("retrain", DATA_SET, "--description", run).status == 0
    told = clarify("compare", DATA_SET, "--json").result
    base, both, one, control = told["models"]
    assert both["halves"] != one["halves"]
    assert base["halves"] is control["halves"] is None
    assert DESCRIBED not in base
    assert one["described_half"].startswith("landbird · with")  # a class that nobody described has no half
    assert 0 <= one[f"base_{DESCRIBED}"] <= 1
    assert told["remarks"] == [NO_ORDER]
    shown = clarify("compare", DATA_SET).out
    assert NO_ORDER in shown
    assert f"{one['described_half']}; the base's worst of the same halves" in shown


def test_the_champion_is_marked_and_has_a_row_though_it_comes_from_another_base(
    home: Path, clarify: Clarify
) -> None:
    assert clarify("retrain", DATA_SET).status == 0
    project = open_project(Settings(home=home, reviewer="Ada"), DATA_SET)
    champion = promote(project, None, gate=LENIENT, by_hash=True).run_id
    rows = clarify("compare", DATA_SET, "--json").result["models"]
    assert [(row["kind"], row["champion"]) for row in rows] == [
        ("base", None),
        ("retraining", "1"),
        ("control", None),
    ]
    assert "[champion, version 1]" in clarify("compare", DATA_SET).out
    assert clarify("train", DATA_SET).status == 0
    base, crowned = clarify("compare", DATA_SET, "--json").result["models"]
    assert base["run"] != rows[0]["run"]
    assert (crowned["run"], crowned["champion"]) == (champion, "1")
    assert crowned["gains"]["average"]["low"] <= crowned["gains"]["average"]["high"]


def test_runs_of_an_older_version_still_open_and_it_is_said_what_they_lack(
    home: Path, clarify: Clarify
) -> None:
    run = clarify("retrain", DATA_SET, "--json").result["run"]
    now = clarify("compare", DATA_SET, "--split", "test", "--json").result["models"][1]
    path = home / "mlruns" / "artifacts" / DATA_SET / run / "artifacts" / "predictions.parquet"
    pl.read_parquet(path).drop("control", "group").write_parquet(path)
    project = open_project(Settings(home=home, reviewer="Ada"), DATA_SET)
    base, found = compare(project, split="test")
    assert found.figures[DESCRIBED] == now[DESCRIBED]
    assert found.half == now["described_half"]
    assert found.base_half is None
    assert DESCRIBED not in base.figures
    assert remarks([base, found]) == (NO_CONTROL,)
