"""Many who write at the same moment: all of it is there, once, and nobody is refused."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy
from mlflow.exceptions import MlflowException

from clarify.errors import AwayError
from clarify.track.live import LiveRun
from clarify.track.mlflow import TrackingStore
from clarify.track.run import WAITING
from clarify.track.runs import DescriptionRun
from tests import warm
from tests.track.conftest import context, phrase_tried

THREADS, EACH = 30, 2


def test_thirty_threads_through_one_store_and_another_of_the_same_home_lose_nothing(home: Path) -> None:
    stores = (TrackingStore(home), TrackingStore(home))
    begin = Barrier(THREADS)

    def said(number: int) -> list[str]:
        records = [phrase_tried(f"phrase {number} {k}", kept=False) for k in range(EACH)]
        begin.wait()
        return [stores[number % 2].log(record) for record in records]

    with ThreadPoolExecutor(THREADS) as pool:
        ids = [each for found in pool.map(said, range(THREADS)) for each in found]
    assert len(set(ids)) == THREADS * EACH
    stores[0].deliver()
    assert not stores[0].outbox.names()
    listed = [run.phrase for run in stores[0].runs("birds", DescriptionRun) if run.phrase != "water"]
    assert sorted(listed) == sorted(f"phrase {n} {k}" for n in range(THREADS) for k in range(EACH))


def test_a_turn_that_does_not_come_leaves_a_description_waiting_and_refuses_a_model(home: Path) -> None:
    store, other = TrackingStore(home), TrackingStore(home)
    with ThreadPoolExecutor(1) as pool, store._connection.turn(1.0), pytest.MonkeyPatch.context() as patch:
        patch.setattr("clarify.track.mlflow.DESCRIPTION_SECONDS", 0.05)
        found = pool.submit(other.log, phrase_tried("reed", kept=False)).result()
    assert found.startswith(WAITING)
    assert "reed" in [run.phrase for run in other.runs("birds", DescriptionRun)]
    other.deliver()
    assert not other.outbox.names()


KILLED = """
import os, sys
from pathlib import Path
from clarify.track import run
from clarify.track.mlflow import TrackingStore
from tests.track.conftest import phrase_tried

home, stops = Path(sys.argv[1]), sys.argv[2]
setattr(run, stops, lambda *args, **kwargs: os._exit(9))
TrackingStore(home).log(phrase_tried("killed", kept=False))
"""


def test_what_a_killed_writer_left_running_is_ended_by_the_next_that_writes(home: Path) -> None:
    for stops in ("_log_values", "_log_dataset"):
        assert warm.run("-c", KILLED, str(home), stops).returncode == 9
        assert running(home) == ["landbird: killed"]  # the second one ended the first
    alive = TrackingStore(home)
    shown = LiveRun(alive, context(), "base", "a training that goes on", "d" * 32)
    shown.log(1, {"loss": 0.5})
    TrackingStore(home).log(phrase_tried("after", kept=False))
    assert running(home) == ["a training that goes on"]
    assert {run.phrase for run in alive.runs("birds", DescriptionRun)} == {"water", "after"}


def running(home: Path) -> list[str]:
    client = TrackingStore(home).client
    (experiment,) = client.search_experiments(filter_string="name = 'clarify/birds'")
    found = client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'")
    return [run.info.run_name for run in found]


def test_two_who_are_the_first_to_name_a_data_set_are_both_written(home: Path) -> None:
    store, faster = TrackingStore(home), []
    record = phrase_tried("reed", kept=False)
    record = dataclasses.replace(record, tags={**record.tags, "data_set": "new"})

    def other_first(_: object, __: object, statement: str, values: tuple[object, ...], *___: object) -> None:
        if statement.startswith("INSERT INTO datasets") and not faster:
            faster.append(values)
            with contextlib.closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as other, other:
                other.execute(statement, ("d" * 32, *values[1:]))

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", other_first)
    try:
        store.log(record)
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", other_first)
    assert faster
    assert [run.phrase for run in store.runs("new", DescriptionRun)] == ["reed"]


def test_a_pool_that_is_full_passes(home: Path) -> None:
    full = MlflowException("QueuePool limit of size 5 overflow 10 reached, connection timed out")
    backend = TrackingStore(home).backend
    assert backend.passing(full)
    assert isinstance(backend.trouble(full), AwayError)
