"""The comparison by the command, on the tiny birds: cells, rows, what is refused, what is kept."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.demo.dataset import group_table
from clarify.demo.datasets import DATASETS
from clarify.errors import InputError, NotFoundError
from clarify.evidence.cells import Refused, cells_of, run_method
from clarify.evidence.comparison import two_level
from clarify.evidence.methods import methods
from clarify.evidence.situation import HELD_OUT, SHARE, Situation, ordinary, seen_by, told_the_truth
from clarify.evidence.suites import compare_methods, drawn_birds, resampled, situation_of
from clarify.evidence.tables import csv_table, figure, markdown
from clarify.method.fit.objectives import Reweight
from clarify.method.fit.selection import ByAnnotatedWorstGroup, select
from clarify.method.fit.training import sweep
from clarify.method.groups.metrics import Interval
from clarify.track.mlflow import TrackingStore
from clarify.track.runs import CellRun
from clarify.workflow.describe.columns import column_phrase
from clarify.workflow.model.project import Workspace
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.shows import demo
from tests import warm
from tests.conftest import DATA_SET, Done
from tests.warm import Warm

Clarify = Callable[..., Done]
PHRASES = {"landbird": "water", "waterbird": "land"}
GROUPS = tuple((label, place) for label in PHRASES for place in ("land", "water"))
FEW = ("erm", "clarify_worst_group", "oracle_worst_group")


@pytest.fixture
def project(home: Path) -> Workspace:
    return open_project(Settings(home=home), DATA_SET)


@pytest.fixture
def whole(project: Workspace) -> Situation:
    return situation_of(project, PHRASES)


def test_every_cell_is_a_run_and_is_written_once(project: Workspace) -> None:
    found = compare_methods("rendered", resampled(project, PHRASES, seeds=2), methods=FEW)
    assert [row.method for row in found.rows] == [*FEW, *FEW]
    assert [row.validation for row in found.rows] == 3 * ["balanced"] + 3 * ["ordinary"]
    assert found.refused == ()
    store = TrackingStore(project.home)
    runs = store.stored(DATA_SET, kind="cell")
    assert len(runs) == 12
    assert {run.params["supervision"] for run in runs} == {"none", "words", "groups"}
    assert {run.tags["oracle"] for run in runs if run.params["method"] == "oracle_worst_group"} == {"true"}
    again = compare_methods("rendered", resampled(project, PHRASES, seeds=2), methods=FEW)
    assert again == found
    assert len(store.runs(DATA_SET, CellRun)) == 12
    more = compare_methods("rendered", resampled(project, PHRASES, seeds=3), methods=("erm",))
    assert more.rows[0].seeds == 3
    assert len(store.runs(DATA_SET, CellRun)) == 14


def test_a_row_is_the_mean_of_its_seeds_by_hand(project: Workspace, whole: Situation) -> None:
    found = compare_methods("rendered", resampled(project, PHRASES, seeds=2), methods=FEW)
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


def test_an_ordinary_validation_is_two_fifths_of_each_class_of_training_whatever_the_place(
    whole: Situation,
) -> None:
    one, two = ordinary(whole, 0), ordinary(whole, 1)
    everything, labels = whole.train, whole.train.labels
    for label in (0, 1):
        assert (one.validation.labels == label).sum() == round(HELD_OUT * (labels == label).sum())
    assert len({tuple(ordinary(whole, seed).validation.truth.counts) for seed in range(5)}) > 1
    ids = [*one.train.ids, *one.validation.ids]
    assert sorted(ids) == sorted(everything.ids)
    assert set(one.validation.ids) != set(two.validation.ids)
    assert one.validation.name == "validation"
    assert one.test is whole.test
    assert (whole.validated, one.validated) == ("balanced", "ordinary")
    assert dataclasses.replace(whole, validation=one.validation).validated == "own"
    assert len(ordinary(whole, 0, 30).validation.labels) == 30


def test_a_drawn_seed_is_a_data_set_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    birds = DATASETS["rendered-waterbirds"]
    counts = {split: dict.fromkeys(GROUPS, 12) for split in ("train", "validation", "test")}
    few = dataclasses.replace(birds, size_px=32, groups=group_table("place", counts))
    monkeypatch.setattr(demo, "DATASETS", {birds.name: few})
    drawn = list(drawn_birds(home, lambda name: open_project(Settings(home=home), name), seeds=2, workers=1))
    assert [at.seed for at in drawn] == [0, 1]
    assert {at.data_set for at in drawn} == {"rendered-waterbirds"}
    assert not np.array_equal(drawn[0].test.embeddings, drawn[1].test.embeddings)
    found = compare_methods("rendered", drawn, methods=("erm", "zero_shot"))
    assert [(row.data_set, row.seeds, row.drawn) for row in found.rows] == 2 * [
        ("rendered-waterbirds", 2, True)
    ]


def test_an_oracle_is_the_same_correction_told_the_groups(whole: Situation) -> None:
    project, splits, _ = told_the_truth(whole)
    phrases = dict.fromkeys(PHRASES, column_phrase(1))
    told = dataclasses.replace(whole, project=project, phrases=phrases, **splits)  # type: ignore[arg-type]
    known, rule = methods(), Recipe().rule
    for name in ("clarify_reweight", "clarify_reweight_refit", "erase_mean_difference_reweight_refit"):
        (by_words,) = known[name].fit(told, [rule])
        (by_groups,) = known[known[name].oracle].fit(whole, [ByAnnotatedWorstGroup()])
        np.testing.assert_array_equal(by_words.head.weight, by_groups.head.weight)


def test_the_rwg_oracle_reweights_the_true_groups(whole: Situation) -> None:
    train, seen, rule = whole.train, whole.validation, ByAnnotatedWorstGroup()
    fits = sweep(train.features, train.labels, whole.classes, Reweight(groups=train.truth))
    expected = select(fits, seen.features, seen.labels, rule, groups=seen.truth).fit
    wrongly_told = dataclasses.replace(whole, phrases=dict.fromkeys(PHRASES, "red"))
    (found,) = methods()["rwg"].fit(wrongly_told, [rule])
    np.testing.assert_array_equal(found.head.weight, expected.head.weight)


def test_each_row_of_words_has_its_oracle_and_the_best_is_named(project: Workspace) -> None:
    few = ("clarify_reweight", "rwg", "group_dro", "rwy")
    found = compare_methods("rendered", resampled(project, PHRASES, seeds=1), methods=few)
    for kind in ("balanced", "ordinary"):
        rows = {
            (row.method, row.selection): row.worst_group_accuracy.mean
            for row in found.rows
            if row.validation == kind
        }
        oracles = {key: worst for key, worst in rows.items() if key[1] == "annotated_worst_group"}
        ours = next(r for r in found.rows if (r.method, r.validation) == ("clarify_reweight", kind))
        assert rows[ours.best_oracle, "annotated_worst_group"] == max(oracles.values())
        assert ours.over_oracle.estimate == pytest.approx(
            ours.worst_group_accuracy.mean - max(oracles.values())
        )
        assert ours.oracle == "rwg"
        same = rows["rwg", "annotated_worst_group"]
        assert ours.over_own_oracle.estimate == pytest.approx(ours.worst_group_accuracy.mean - same)


def test_seeds_are_drawn_and_then_images_of_each() -> None:
    # Two seeds without any doubt in images: the mean of two drawn ones is 0, 1/2 or 1.
    apart = np.repeat([[0.0], [1.0]], 2001, axis=1)
    assert two_level(apart, drawn=True) == Interval(estimate=0.5, low=0.0, high=1.0)
    # One seed: only its images are in doubt.
    one = np.concatenate(([0.5], np.linspace(0, 1, 2000)))[None]
    alone = two_level(one, drawn=False)
    assert (alone.low, alone.high) == pytest.approx((0.025, 0.975), abs=1e-3)
    # Five seeds alike: images of their own average out, the same images do not.
    five = np.repeat(one, 5, axis=0)
    shared, own = (two_level(five, drawn=drawn) for drawn in (False, True))
    assert shared.high - shared.low == pytest.approx(0.95, abs=0.01)
    assert own.high - own.low == pytest.approx(0.95 / np.sqrt(5), abs=0.1)


def test_described_groups_come_from_phrases_alone(whole: Situation) -> None:
    at = seen_by(whole, 0)
    shuffled = dataclasses.replace(
        at.train.truth, index=np.random.default_rng(0).permutation(at.train.truth.index)
    )
    other = dataclasses.replace(at, train=dataclasses.replace(at.train, truth=shuffled))
    np.testing.assert_array_equal(at.groups["train"].index, other.groups["train"].index)
    heads = [methods()["clarify_worst_group"].fit(each, [Recipe().rule])[0] for each in (at, other)]
    np.testing.assert_array_equal(heads[0].head.weight, heads[1].head.weight)


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
        compare_methods("rendered", [], methods=("jt",))
    with pytest.raises(InputError, match="seeds is 0"):
        compare_methods("rendered", resampled(project, PHRASES, seeds=0))


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
    found = compare_methods("rendered", resampled(project, PHRASES, seeds=2), methods=(*FEW, "rwy"))
    rows = found.to_dict()["rows"]
    text = markdown(rows)
    assert text.count("\n| ") == len(rows) + 1
    assert "| oracle_worst_group | **groups (oracle)** | ordinary | annotated_worst_group" in text
    assert "| rwy | **groups (oracle)** | balanced | annotated_worst_group" in text
    assert "| rwy | class labels | balanced | worst_class" in text
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
        "-m",
        "clarify.cli",
        "benchmark",
        "--suite",
        "features",
        "--data-set",
        DATA_SET,
        "--phrase=landbird=water",
        "--phrase=waterbird=land",
        *(f"--method={name}" for name in FEW),
        "--json",
        "--home",
        str(home),
    ]

    def written() -> list[str]:
        return [run.cell for run in TrackingStore(home).runs(DATA_SET, CellRun)]

    for least in (1, 3, 6):
        process = Warm(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(written()) < least and process.poll() is None:
            time.sleep(0.1)
        assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = warm.run(*command)
    rows, names = json.loads(done.stdout)["rows"], written()
    assert len(names) == len(set(names)) == sum(row["seeds"] for row in rows)
    assert {row["seeds"] for row in rows} == {5}
