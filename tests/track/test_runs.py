"""Typed runs: what MLflow keeps as text is read in one place, that of older homes too."""

from __future__ import annotations

import dataclasses

import pytest

from clarify.errors import StoreError
from clarify.track.mlflow import TrackingStore
from clarify.track.record import TAGS
from clarify.track.run import StoredRun
from clarify.track.runs import BaseRun, CellRun, DescriptionRun, ModelRun, PromotionRun, read_run
from tests.track.conftest import model, phrase_tried


def stored(kind: str, params: dict[str, str], metrics: dict[str, float], **tags: str) -> StoredRun:
    return StoredRun(
        id="0123456789",
        kind=kind,
        name="a run",
        params=params,
        metrics=metrics,
        tags=dict.fromkeys(TAGS, "") | {"kind": kind, "reviewer": "Ada"} | tags,
        started=7,
    )


def test_a_description_is_read_with_its_score_and_whether_it_is_kept(store: TrackingStore) -> None:
    store.log(phrase_tried("lake", kept=False))
    lake, water = store.runs("birds", DescriptionRun)
    assert (lake.class_name, lake.phrase, lake.kept) == ("landbird", "lake", False)
    assert water.kept
    assert (water.gain, water.machine) == (0.05, True)
    assert water.score == water.figures("validation")["error_score"]
    assert water.by == "Ada"
    assert water.origin == water.id


def test_a_model_is_read_with_numbers_as_numbers(store: TrackingStore) -> None:
    (base,), (model,) = store.runs("birds", BaseRun), store.runs("birds", ModelRun)
    assert not base.oracle
    assert base.parent == ""
    assert model.settings["weight_decay"] == 0.01
    assert model.figures("validation").keys() >= base.figures("validation").keys() >= {"average_accuracy"}
    assert not any("/" in name for name in model.figures("cost"))
    assert [type(run) for run in store.runs_since("birds", 0)].count(ModelRun) == 1


def test_what_older_runs_lack_is_what_it_was_then() -> None:
    run = ModelRun.read(stored("retraining", {"objective": "reweight"}, {}, parent="base", oracle="true"))
    assert (run.seed, run.part, run.recipe, run.selection, run.body) == (0, "head", run.id, "", "")
    assert (run.oracle, run.parent, run.phrases, run.cost) == (True, "base", (), {})
    assert not run.imported


def test_a_listing_that_was_copied_before_a_tag_was_thought_of_is_read() -> None:
    run = stored("base", {"objective": "erm"}, {})
    tags = {name: value for name, value in run.tags.items() if name not in ("original", "backbone")}
    read = BaseRun.read(dataclasses.replace(run, tags=tags))
    assert (read.origin, read.backbone) == (run.id, "")


def test_what_newer_runs_have_is_read() -> None:
    params = {
        "objective": "imported",
        "seed": "3",
        "part": "last-2",
        "recipe": "abc",
        "backbone_in": "parent",
    }
    metrics = {"cost/seconds": 1.5, "validation/gap": 0.25, "validation/class_accuracy/bee": 0.5}
    run = BaseRun.read(stored("base", params, metrics, phrase="water, forest", original="first"))
    assert (run.seed, run.part, run.recipe, run.body) == (3, "last-2", "abc", "parent")
    assert run.imported
    assert run.phrases == ("water", "forest")
    assert run.cost == {"seconds": 1.5}
    assert run.figures("validation") == {"gap": 0.25, "class_accuracy/bee": 0.5}
    assert run.figures("test") == {}
    assert run.origin == "first"


def test_a_run_knows_every_id_that_it_has_had() -> None:
    run = stored("description", {}, {"validation/error_score": 0.5})
    assert DescriptionRun.read(run).ids == {run.id}
    moved = dataclasses.replace(run, delivery="d1", tags={**run.tags, "original": "first"})
    assert DescriptionRun.read(moved).ids == {run.id, "first", "waiting-d1"}


def test_promotions_and_cells_are_read() -> None:
    params = {
        "model": "birds",
        "number": "12",
        "action": "rollback",
        "from_version": "3",
        "to_version": "2",
        "note": "snow",
    }
    event = read_run(stored("promotion", params, {}, parent="model"))
    assert isinstance(event, PromotionRun)
    assert (event.number, event.action, event.to_version, event.parent) == (12, "rollback", "2", "model")
    cell = read_run(stored("cell", {"cell": "cell-1"}, {"test/average_accuracy": 0.5}))
    assert isinstance(cell, CellRun)
    assert (cell.cell, cell.figures("test")) == ("cell-1", {"average_accuracy": 0.5})


@pytest.mark.parametrize(
    ("kind", "params", "lacks"),
    [
        ("base", {}, "objective"),
        ("base", {"objective": "erm", "seed": "first"}, "first"),
        ("description", {}, "error_score"),
        ("cell", {}, "cell"),
    ],
)
def test_a_run_that_is_not_as_clarify_writes_it_is_refused_by_its_id(
    kind: str, params: dict[str, str], lacks: str
) -> None:
    with pytest.raises(StoreError, match=rf"{kind} run 01234567 .*{lacks}.*delete it in MLflow"):
        read_run(stored(kind, params, {}))


def test_where_the_clock_went_back_the_model_that_was_trained_last_is_the_newest(
    store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = store.runs("birds", BaseRun)
    (retrained,) = store.runs("birds", ModelRun)
    monkeypatch.setattr("clarify.track.mlflow.now", lambda: before.started - 3_600_000)
    trained = [store.log(model()), store.log(model())]
    assert [run.id for run in store.runs("birds", BaseRun)] == [*reversed(trained), before.id]
    again = store.log(model("retraining", parent=trained[1]))
    assert [run.id for run in store.runs("birds", ModelRun)] == [again, retrained.id]
