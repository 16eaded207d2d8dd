"""The comparison by the command, on the tiny birds: cells, rows, what is refused, what is kept."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.errors import InputError, NotFoundError
from clarify.evidence.cells import Refused, cells_of, run_method
from clarify.evidence.methods import methods
from clarify.evidence.situation import SHARE, Situation, seen_by
from clarify.evidence.suites import compare_methods, situation_of
from clarify.evidence.tables import csv_table, figure, markdown
from clarify.track.mlflow import TrackingStore
from clarify.track.runs import CellRun
from clarify.workflow.model.project import Workspace
from tests.conftest import DATA_SET, Done

Clarify = Callable[..., Done]
PHRASES = {"landbird": "water", "waterbird": "land"}
FEW = ("erm", "clarify_worst_group", "group_dro")


@pytest.fixture
def project(home: Path) -> Workspace:
    return open_project(Settings(home=home), DATA_SET)


@pytest.fixture
def whole(project: Workspace) -> Situation:
    return situation_of(project, PHRASES)


def test_every_cell_is_a_run_and_is_written_once(project: Workspace) -> None:
    found = compare_methods("rendered", [(project, PHRASES)], seeds=2, methods=FEW)
    rows = {row.method: row for row in found.rows}
    assert list(rows) == list(FEW)
    assert found.refused == ()
    store = TrackingStore(project.home)
    runs = store.stored(DATA_SET, kind="cell")
    assert len(runs) == 6
    assert {run.params["supervision"] for run in runs} == {"none", "words", "groups"}
    assert {run.tags["oracle"] for run in runs if run.params["method"] == "group_dro"} == {"true"}
    again = compare_methods("rendered", [(project, PHRASES)], seeds=2, methods=FEW)
    assert again == found
    assert len(store.runs(DATA_SET, CellRun)) == 6
    more = compare_methods("rendered", [(project, PHRASES)], seeds=3, methods=("erm",))
    assert more.rows[0].seeds == 3
    assert len(store.runs(DATA_SET, CellRun)) == 7


def test_a_row_is_the_mean_of_its_seeds_by_hand(project: Workspace, whole: Situation) -> None:
    found = compare_methods("rendered", [(project, PHRASES)], seeds=2, methods=FEW)
    row = next(row for row in found.rows if row.method == "clarify_worst_group")
    fixed_cut, base = [], []
    for seed in range(2):
        at = seen_by(whole, seed)
        figures = run_method(at, methods()["clarify_worst_group"])["described_worst_group"]
        groups = [figures.right[at.test.truth.index == g].mean() for g in range(4)]
        fixed_cut.append(min(groups))
        right = at.base.predict(at.test.features) == at.test.labels
        base.append(min(right[at.test.truth.index == g].mean() for g in range(4)))
    assert row.worst_group_accuracy.mean == pytest.approx(np.mean(fixed_cut))
    assert row.worst_group_accuracy.sd == pytest.approx(np.std(fixed_cut, ddof=1))
    assert row.over_erm is not None
    assert row.over_erm.estimate == pytest.approx(np.mean(fixed_cut) - np.mean(base))
    assert row.over_erm.low <= row.over_erm.estimate <= row.over_erm.high
    assert row.over_erm.low < row.over_erm.high


def test_a_seed_sees_a_share_of_every_group_and_all_of_test(whole: Situation) -> None:
    one, two = seen_by(whole, 0), seen_by(whole, 1)
    for split in ("train", "validation"):
        counts = getattr(whole, split).truth.counts
        np.testing.assert_array_equal(getattr(one, split).truth.counts, np.round(SHARE * counts))
    assert one.test is two.test
    assert not np.array_equal(one.train.features, two.train.features)


def test_described_groups_come_from_phrases_alone(whole: Situation) -> None:
    at = seen_by(whole, 0)
    shuffled = dataclasses.replace(
        at.train.truth, index=np.random.default_rng(0).permutation(at.train.truth.index)
    )
    other = dataclasses.replace(at, train=dataclasses.replace(at.train, truth=shuffled))
    np.testing.assert_array_equal(at.groups["train"].index, other.groups["train"].index)
    heads = [
        methods()["clarify_worst_group"].fit(each, [rule()])[0]
        for each, rule in ((at, _described), (other, _described))
    ]
    np.testing.assert_array_equal(heads[0].weight, heads[1].weight)


def _described() -> object:
    from clarify.workflow.model.recipe import Recipe

    return Recipe().rule


class Nothing:
    """A ledger of nothing."""

    def known(self, _: object) -> None:
        return None

    def write(self, *_: object) -> None:
        return None


def test_a_method_that_lacks_what_it_needs_is_named_and_the_rest_goes_on(whole: Situation) -> None:
    wide = dataclasses.replace(
        whole,
        **{
            split: dataclasses.replace(
                getattr(whole, split), features=np.hstack([getattr(whole, split).features] * 2)
            )
            for split in ("train", "validation", "test")
        },
    )
    chosen = {name: methods()[name] for name in ("zero_shot", "erase_text", "erm")}
    found = list(cells_of(wide, chosen, Nothing(), "x"))  # type: ignore[arg-type]
    refused = {cell.method: each.reason for cell, each in found if isinstance(each, Refused)}
    assert "its features hold no texts" in refused["zero_shot"]
    assert "width" in refused["erase_text"]
    assert [cell.method for cell, each in found if not isinstance(each, Refused)] == ["erm"]


def test_features_that_are_not_finite_stop_their_cells_alone(whole: Situation) -> None:
    broken = np.array(whole.train.features)
    broken[3, 2] = np.nan
    at = dataclasses.replace(whole, train=dataclasses.replace(whole.train, features=broken))
    chosen = {name: methods()[name] for name in ("zero_shot", "rwy", "dfr_upsampled")}
    found = {cell.method: each for cell, each in cells_of(at, chosen, Nothing(), "x")}  # type: ignore[arg-type]
    assert isinstance(found["rwy"], Refused)
    assert "row 3" in found["rwy"].reason
    assert not isinstance(found["dfr_upsampled"], Refused)


def test_unknown_methods_and_seeds_are_refused(project: Workspace) -> None:
    with pytest.raises(NotFoundError, match="nearest: jtt"):
        compare_methods("rendered", [(project, PHRASES)], methods=("jt",))
    with pytest.raises(InputError, match="seeds is 0"):
        compare_methods("rendered", [(project, PHRASES)], seeds=0)


def test_the_command_on_a_data_set_of_ones_own(clarify: Clarify, home: Path) -> None:
    asked = ("benchmark", "--suite", "features", "--data-set", DATA_SET, "--seeds", "2")
    assert "--phrase CLASS=PHRASE" in clarify(*asked).refusal
    assert "CLASS=PHRASE is legal" in clarify(*asked, "--phrase", "water").refusal
    assert "nearest: landbird" in clarify(*asked, "--phrase", "landbirds=water").refusal
    said = [f"--phrase={name}={phrase}" for name, phrase in PHRASES.items()]
    few = [f"--method={name}" for name in FEW]
    found = clarify(*asked, *said, *few, "--json").result
    keys = {
        "data_set",
        "encoder",
        "method",
        "supervision",
        "selection",
        "seeds",
        "worst_group_accuracy",
        "adjusted_average_accuracy",
        "seconds",
    }
    assert all(keys <= set(row) for row in found["rows"])
    assert set(found["rows"][0]["worst_group_accuracy"]) == {"mean", "sd"}
    place = Path(found["written"])
    assert (place / "table.md").read_text() == markdown(found["rows"])
    assert (place / "table.csv").read_text().startswith("data_set,encoder,method")
    assert "plotly" in (place / "charts.html").read_text()[:20_000]


def test_tables_have_a_line_a_row_and_say_what_each_uses(project: Workspace) -> None:
    found = compare_methods("rendered", [(project, PHRASES)], seeds=2, methods=(*FEW, "rwy"))
    rows = found.to_dict()["rows"]
    text = markdown(rows)
    assert text.count("\n| ") == len(rows) + 1
    assert "| group_dro | **groups (oracle)** | annotated_worst_group |" in text
    assert "| rwy | **groups (oracle)** | annotated_worst_group |" in text
    assert "| rwy | class labels | worst_class |" in text
    assert csv_table(rows).count("\n") == len(rows) + 1
    assert len(figure(rows, title="x").data) == 3
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_data_set_without_attribute_cannot_be_compared_on(clarify: Clarify, home: Path) -> None:
    import polars as pl

    folder = home / "data_manifests" / DATA_SET
    table = next(folder.glob("*.parquet"))
    pl.read_parquet(table).drop("place").write_parquet(table)
    lines = (folder / "manifest.toml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith(('"place"', "[attributes]"))]
    (folder / "manifest.toml").write_text("\n".join(kept) + "\n")
    assert clarify("embed", DATA_SET).status == 0
    done = clarify("benchmark", "--suite", "features", "--data-set", DATA_SET, "--phrase=landbird=water")
    assert "no annotated attribute to compare by; add a column" in done.refusal


@pytest.mark.slow
def test_a_comparison_that_is_killed_loses_and_doubles_no_cell(home: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "clarify.cli",
        "benchmark",
        "--suite",
        "features",
        "--data-set",
        DATA_SET,
        "--phrase=landbird=water",
        "--phrase=waterbird=land",
        "--json",
        "--home",
        str(home),
    ]
    for after in (4.0, 1.5, 2.5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(4.0 + after)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["rows"]
    runs = TrackingStore(home).runs(DATA_SET, CellRun)
    names = [run.cell for run in runs]
    assert len(names) == len(set(names)) == sum(row["seeds"] for row in rows)
    assert {row["seeds"] for row in rows} == {5}
