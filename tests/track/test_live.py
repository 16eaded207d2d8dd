"""A training under way in MLflow: seen while it lasts, replaced by the finished run."""

from __future__ import annotations

import dataclasses

import pytest

from clarify.errors import AwayError
from clarify.track.live import LiveRun
from clarify.track.mlflow import TrackingStore
from tests.track.conftest import context, model


def under_way(store: TrackingStore) -> list[object]:
    client = store.client
    experiment = client.get_experiment_by_name("clarify/birds")
    found = client.search_runs([experiment.experiment_id])
    return [run for run in found if run.data.tags.get("clarify.status") == "started"]


def test_it_is_seen_with_steps_and_not_listed(store: TrackingStore) -> None:
    before = [run.id for run in store.stored("birds", kind="base")]
    live = LiveRun(store, context(), "base", "a network, training", "delivery-1")
    live.log(3, {"loss/landbird": 0.7})
    live.log(6, {"loss/landbird": 0.5, "average": 0.8})
    (run,) = under_way(store)
    seen = store.client.get_metric_history(run.info.run_id, "training/loss/landbird")  # type: ignore[attr-defined]
    assert [(each.step, each.value) for each in seen] == [(3, 0.7), (6, 0.5)]
    assert [run.id for run in store.stored("birds", kind="base")] == before


def test_another_attempt_and_the_finished_run_take_its_place(store: TrackingStore) -> None:
    LiveRun(store, context(), "base", "first", "delivery-1").log(1, {"average": 0.1})
    LiveRun(store, context(), "base", "second", "delivery-1").log(2, {"average": 0.2})
    assert len(under_way(store)) == 1
    record = dataclasses.replace(
        model(), history=((1, {"training/average": 0.1}), (2, {"training/average": 0.2}))
    )
    run = store.adopt(record, delivery="delivery-1", at=1)
    assert under_way(store) == []
    seen = store.client.get_metric_history(run, "training/average")
    assert [(each.step, each.value) for each in seen] == [(1, 0.1), (2, 0.2)]
    assert store.delivered("delivery-1") == run
    assert store.delivered("delivery-2") is None


def test_a_store_that_is_away_shows_none_and_stops_nothing(
    store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise AwayError("away")

    live = LiveRun(store, context(), "base", "a network", "delivery-1")
    with monkeypatch.context() as patch:
        patch.setattr(store, "ask", away)
        live.log(1, {"average": 0.1})
    live.log(2, {"average": 0.2})
    (run,) = under_way(store)
    assert run.data.metrics == {"training/average": 0.2}  # type: ignore[attr-defined]
