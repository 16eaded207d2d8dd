"""The outbox: descriptions wait while the store is away, and arrive exactly once."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from clarify.errors import AwayError, NotFoundError, StoreError
from clarify.track.artifacts import Artifact
from clarify.track.mlflow import WAITING, TrackingStore
from clarify.track.outbox import DamagedError, Entry, Outbox
from clarify.track.record import RunRecord
from clarify.track.runs import DescriptionRun
from tests.track.conftest import model, phrase_tried
from tests.warm import Warm

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def locked(home: Path) -> Iterator[None]:
    with closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.rollback()


def phrases(store: TrackingStore) -> list[str]:
    return [run.tags["phrase"] for run in store.stored("birds", kind="description")]


def kept_while_locked(home: Path, *said: str) -> list[str]:
    """Try phrases while somebody else writes; returns their ids."""
    with locked(home):
        return [TrackingStore(home, patience=0.1).log(phrase_tried(each)) for each in said]


def entry(phrase: str = "forest", delivery: str = "a" * 32) -> Entry:
    return Entry(delivery=delivery, store="", at=1_700_000_000_000, record=phrase_tried(phrase))


def equal(one: RunRecord, other: RunRecord) -> bool:
    tables = one.dataset.table.equals(other.dataset.table)
    dataset = dataclasses.replace(one.dataset, table=other.dataset.table)
    return tables and dataclasses.replace(one, dataset=dataset) == other


def test_an_entry_comes_back_as_it_was_put(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    put = entry()
    outbox.put(put)
    (found,) = outbox.waiting()
    assert equal(found.record, put.record)
    assert (found.delivery, found.at, found.store) == ("a" * 32, 1_700_000_000_000, "")


def test_a_description_waits_while_the_store_is_locked_and_is_listed_meanwhile(home: Path) -> None:
    told: list[str] = []
    with locked(home):
        store = TrackingStore(home, patience=0.1, say=told.append)
        run = store.log(phrase_tried("forest"))
        again = store.log(phrase_tried("snow"))
        assert run.startswith(WAITING)
        assert phrases(store) == ["snow", "forest", "water"]
        assert json.loads(store.artifact(run, "description.json"))["phrase"] == "forest"
        assert "locked by another process" in store.away
    assert len(told) == 1
    assert "locked" in told[0]
    assert run != again


def test_other_runs_do_not_wait(home: Path) -> None:
    with locked(home), pytest.raises(AwayError, match="locked"):
        TrackingStore(home, patience=0.1).log(model())
    assert not (home / "outbox").exists()


def test_what_waits_is_delivered_by_the_next_process_with_its_own_time(home: Path) -> None:
    (waiting,) = kept_while_locked(home, "forest")
    (kept,) = Outbox(home).waiting()
    store = TrackingStore(home)
    store.open()
    found = store.stored("birds", kind="description")
    assert [run.tags["phrase"] for run in found] == ["forest", "water"]
    assert not found[0].id.startswith(WAITING)
    assert found[0].started == kept.at
    assert Outbox(home).names() == []
    assert store.artifact(found[0].id, "distribution.html") == store.artifact(waiting, "distribution.html")
    assert store.away == ""


PICTURES = (Artifact(path="with.png", content=b"picture"),)


def test_what_follows_a_description_that_waits_is_delivered_with_it(home: Path) -> None:
    with locked(home):
        store = TrackingStore(home, patience=0.1)
        waiting = store.log(phrase_tried("forest"))
        store.attach(waiting, PICTURES)
        assert store.artifact(waiting, "with.png") == b"picture"
    TrackingStore(home).open()
    (found,) = (run for run in TrackingStore(home).runs("birds", DescriptionRun) if run.phrase == "forest")
    assert not found.id.startswith(WAITING)
    assert store.artifact(found.id, "with.png") == b"picture"
    assert Outbox(home).damaged() == []


def test_what_follows_a_description_reaches_its_run(home: Path) -> None:
    (waiting,) = kept_while_locked(home, "forest")
    store = TrackingStore(home)
    store.open()
    run = store.log(phrase_tried("snow"))
    for each in (waiting, run):  # by the id that it was acknowledged with
        store.attach(each, PICTURES)
        assert store.artifact(each, "with.png") == b"picture"
    assert len(store.runs("birds", DescriptionRun)) == 3


def test_what_waits_is_delivered_by_the_next_run_of_the_same_process(home: Path) -> None:
    store = TrackingStore(home, patience=0.1)
    store.open()
    with locked(home):
        store.log(phrase_tried("forest"))
    store.log(phrase_tried("snow"))
    assert phrases(store) == ["snow", "forest", "water"]
    assert Outbox(home).names() == []


def test_a_run_that_was_written_but_not_dropped_is_not_written_again(home: Path) -> None:
    kept_while_locked(home, "forest")
    shutil.copytree(home / "outbox", home.parent / "before")
    TrackingStore(home).open()
    shutil.rmtree(home / "outbox")
    shutil.copytree(home.parent / "before", home / "outbox")
    store = TrackingStore(home)
    store.open()
    assert phrases(store) == ["forest", "water"]
    assert Outbox(home).names() == []


STOPS = {
    "before anything is written": ("clarify.track.run", "_experiment"),
    "with an empty run": ("clarify.track.run", "_log_values"),
    "before its files": ("clarify.track.backend.LocalFiles", "write"),
    "before it is complete": ("clarify.track.run", "_log_dataset"),
    "before the entry is dropped": ("clarify.track.outbox.Outbox", "remove"),
    "before the dropped entry is gone": ("shutil", "rmtree"),
}
KILLED = """
import os, signal, sys
from pathlib import Path
import pkgutil
from clarify.track.mlflow import TrackingStore
place = pkgutil.resolve_name(sys.argv[2])
setattr(place, sys.argv[3], lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
TrackingStore(Path(sys.argv[1])).open()
"""
OPENS = """
import sys
from pathlib import Path
from clarify.track.mlflow import TrackingStore
TrackingStore(Path(sys.argv[1])).open()
"""


def child(code: str, *arguments: str) -> Warm:
    return Warm("-c", code, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.parametrize("when", STOPS)
def test_it_arrives_exactly_once_when_the_delivering_process_is_killed(home: Path, when: str) -> None:
    kept_while_locked(home, "forest", "snow")
    killed = child(KILLED, str(home), *STOPS[when])
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    store = TrackingStore(home)
    assert sorted(phrases(store)) == ["forest", "snow", "water"]  # waiting ones are listed too
    store.open()
    assert sorted(phrases(store)) == ["forest", "snow", "water"]
    assert Outbox(home).names() == []
    runs = store.stored("birds", kind="description")
    assert not any(run.id.startswith(WAITING) for run in runs)
    for run in runs:
        assert json.loads(store.artifact(run.id, "description.json"))["phrase"]
    with closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as database:
        rows = database.execute(
            "SELECT count(*) FROM runs JOIN tags USING (run_uuid) WHERE lifecycle_stage = 'active'"
            " AND key = 'clarify.kind' AND value = 'description'"
        ).fetchall()
    assert rows == [(3,)]  # no half run is left beside them


@pytest.mark.slow
def test_several_processes_that_deliver_at_once_deliver_once(home: Path) -> None:
    kept_while_locked(home, *(f"phrase {chr(97 + k)}" for k in range(6)))
    children = [child(OPENS, str(home)) for _ in range(3)]
    for each in children:
        out, err = each.communicate(timeout=120)
        assert (each.returncode, out, err) == (0, "", "")
    store = TrackingStore(home)
    assert len(phrases(store)) == 7
    assert len(set(phrases(store))) == 7
    assert Outbox(home).names() == []


@pytest.mark.parametrize("file", ["record.json", "dataset.parquet", "0"])
@pytest.mark.parametrize("harm", ["cut", "gone", "changed"])
def test_a_damaged_entry_is_set_aside_and_blocks_nothing(home: Path, file: str, harm: str) -> None:
    kept_while_locked(home, "forest", "snow")
    first, second = Outbox(home).names()
    place = home / "outbox" / first / file
    content = place.read_bytes()
    place.unlink()
    if harm != "gone":
        cut = content[: len(content) // 2]
        place.write_bytes(cut if harm == "cut" else cut + b"!" + content[len(cut) + 1 :])
    with pytest.raises(DamagedError):
        Outbox(home).read(first)
    store = TrackingStore(home)
    store.open()
    assert len(phrases(store)) == 2
    assert Outbox(home).names() == []
    assert [each.name for each in Outbox(home).damaged()] == [first]
    assert (home / "outbox" / "damaged" / first / "1").exists()
    assert second not in os.listdir(home / "outbox")


def test_an_entry_for_another_store_waits_for_that_one(home: Path) -> None:
    outbox = Outbox(home)
    outbox.put(dataclasses.replace(entry(), store="http://elsewhere:5000"))
    store = TrackingStore(home)
    store.open()
    assert phrases(store) == ["water"]
    assert outbox.names() == ["a" * 32]


def test_an_entry_in_the_making_is_not_delivered_and_goes_when_it_is_old(home: Path) -> None:
    kept_while_locked(home, "forest")
    making = home / "outbox" / ".making-x"
    making.mkdir()
    (making / "0").write_bytes(b"half")
    TrackingStore(home).open()
    assert making.exists()
    os.utime(making, (1, 1))
    kept_while_locked(home, "snow")
    TrackingStore(home).open()
    assert not making.exists()


FULL = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from clarify.errors import StoreError
from clarify.track.outbox import Outbox
from tests.track.test_outbox import entry
one = entry()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    Outbox(Path(sys.argv[1])).put(one)
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [0, 10_000])
def test_without_room_a_description_is_refused_and_leaves_no_half_entry(tmp_path: Path, room: int) -> None:
    done = child(FULL, str(tmp_path), str(room))
    out, err = done.communicate(timeout=120)
    assert (done.returncode, err) == (0, "")
    assert "no room left" in out
    assert list((tmp_path / "outbox").iterdir()) == []


def test_an_id_that_never_waited_is_refused(store: TrackingStore) -> None:
    with pytest.raises(NotFoundError, match="neither waits"):
        store.artifact(f"{WAITING}{'0' * 32}", "description.json")


def test_a_file_that_a_waiting_run_has_not_is_refused_with_those_it_has(home: Path) -> None:
    (run,) = kept_while_locked(home, "forest")
    with locked(home), pytest.raises(NotFoundError, match=r"it has description\.json"):
        TrackingStore(home).artifact(run, "head.safetensors")


def test_an_outbox_that_cannot_be_written_is_told(home: Path) -> None:
    (home / "outbox").write_text("a file")
    with locked(home), pytest.raises(StoreError, match="outbox"):
        TrackingStore(home, patience=0.1).log(phrase_tried("forest"))
