"""The tracking store on real MLflow and SQLite: what is written, and every way it can be unfit."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from clarify.errors import AwayError, NotFoundError, StoreError
from clarify.method.fit.head import Head
from clarify.track.artifacts import read_arrays
from clarify.track.mlflow import TrackingStore
from tests import warm
from tests.track.conftest import CLASSES, head, model, phrase_tried
from tests.warm import Warm

ROOT = Path(__file__).resolve().parents[2]


def changed(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as database, database:
        database.execute(statement)


@contextmanager
def locked(home: Path) -> Iterator[None]:
    with closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.rollback()


def test_what_was_logged_is_read_back(store: TrackingStore) -> None:
    (found,) = store.stored("birds", kind="base")
    record = model()
    assert found.name == record.name
    assert dict(found.tags) == dict(record.tags)
    assert dict(found.metrics) == pytest.approx(dict(record.metrics))
    assert found.params["weight_decay"] == "0.01"
    for each in record.artifacts:
        if each.path.endswith(".json"):
            assert store.artifact(found.id, each.path) == each.content


def test_a_head_comes_back_and_predicts_the_same(store: TrackingStore) -> None:
    (found,) = store.stored("birds", kind="base")
    arrays = read_arrays(store.artifact(found.id, "head.safetensors"))
    features = np.random.default_rng(1).normal(size=(50, 6))
    again = Head.from_arrays(arrays, class_names=CLASSES)
    np.testing.assert_array_equal(again.logits(features), head().logits(features))


def test_runs_are_listed_by_kind_newest_first(store: TrackingStore) -> None:
    newer = store.log(phrase_tried("forest"))
    found = store.stored("birds", kind="description")
    assert [run.tags["phrase"] for run in found] == ["forest", "water"]
    assert found[0].id == newer
    assert len(store.stored("birds", kind="retraining")) == 1
    assert store.stored("no-such-data-set", kind="base") == []


def test_a_run_that_was_cut_short_is_not_listed(
    store: TrackingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("clarify.track.run._log_dataset", stopped)
    with pytest.raises(KeyboardInterrupt):
        store.log(model(name="cut short"))
    assert [run.name for run in store.stored("birds", kind="base")] == ["base (erm)"]
    with closing(sqlite3.connect(store.address.database)) as database:
        rows = database.execute("SELECT status FROM runs WHERE name = 'cut short'").fetchall()
    assert rows == [("FAILED",)]


def test_more_params_and_metrics_than_one_request_holds_are_all_kept(store: TrackingStore) -> None:
    many = dataclasses.replace(
        model(name="many"),
        params={f"p{k}": k for k in range(150)},
        metrics={f"m{k}": float(k) for k in range(1300)},
    )
    run = store.log(many)
    found = store.stored("birds", kind="base")[0]
    assert found.id == run
    assert len(found.params) == 150
    assert dict(found.metrics) == dict(many.metrics)


def test_the_data_set_is_an_input_of_the_run(store: TrackingStore) -> None:
    (found,) = store.stored("birds", kind="base")
    (given,) = store.client.get_run(found.id).inputs.dataset_inputs
    assert given.dataset.name == "birds"
    assert given.dataset.digest == "d" * 12


def test_an_experiment_in_mlflows_trash_is_named_with_the_command_that_takes_it_out(
    store: TrackingStore,
) -> None:
    (before,) = store.stored("birds", kind="base")
    experiment = store.client.get_experiment_by_name("clarify/birds")
    store.client.delete_experiment(experiment.experiment_id)
    for call in (
        lambda: store.stored("birds", kind="base"),
        lambda: store.runs_since("birds", 0),
        lambda: store.log(model(name="after")),
        lambda: store.log(phrase_tried("snow")),
    ):
        with pytest.raises(StoreError, match=r"clarify/birds .*lies in its trash") as refused:
            call()
        assert not isinstance(refused.value, AwayError)
    said = str(refused.value)
    setting, _, command = said.rpartition("take it out: ")[2].partition(" ")
    assert setting == f"MLFLOW_TRACKING_URI={store.uri}"
    assert command == f"mlflow experiments restore -x {experiment.experiment_id}"
    name, _, value = setting.partition("=")
    done = warm.run("-m", *command.split(), env={**os.environ, name: value})
    assert done.returncode == 0, done.stderr
    assert store.stored("birds", kind="base") == [before]


def test_a_file_that_a_run_has_not_is_refused(store: TrackingStore) -> None:
    (found,) = store.stored("birds", kind="base")
    with pytest.raises(NotFoundError, match=r"nothing\.json"):
        store.artifact(found.id, "nothing.json")


def test_write_ahead_logging_is_on_and_nothing_lies_elsewhere(template: Path) -> None:
    with closing(sqlite3.connect(template / "mlruns" / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
        places = database.execute("SELECT artifact_location FROM experiments").fetchall()
    for (place,) in places:
        assert place.startswith(str(template / "mlruns" / "artifacts"))


def test_nothing_is_pickled(template: Path) -> None:
    files = [path.suffix for path in template.rglob("*") if path.is_file()]
    assert ".safetensors" in files
    assert not {".pkl", ".pickle", ".pt", ".pth", ".joblib"} & set(files)


def test_a_home_without_a_store_lists_nothing_and_makes_none(tmp_path: Path) -> None:
    assert TrackingStore(tmp_path).stored("birds", kind="base") == []
    assert list(tmp_path.iterdir()) == []


def test_a_moved_store_is_told_with_both_places_and_the_next_step(template: Path, tmp_path: Path) -> None:
    shutil.copytree(template, tmp_path / "moved")
    with pytest.raises(StoreError) as refused:
        TrackingStore(tmp_path / "moved").stored("birds", kind="base")
    assert str(template / "mlruns" / "artifacts") in str(refused.value)
    assert str(tmp_path / "moved" / "mlruns") in str(refused.value)
    assert "clarify relocate" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_relocating_keeps_a_copy_and_leaves_no_trace_of_the_old_place(home: Path, template: Path) -> None:
    (copy,) = (home / "mlruns").glob("mlflow.before-*.db")
    with closing(sqlite3.connect(copy)) as database:
        assert str(template) in "\n".join(database.iterdump())
    with closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as database:
        assert str(template) not in "\n".join(database.iterdump())
    assert TrackingStore(home).relocate() == 0


def test_relocating_takes_the_places_of_images_along(template: Path, tmp_path: Path) -> None:
    old, new = tmp_path / "ä'lt", tmp_path / "neu"
    shutil.copytree(template, old)
    store = TrackingStore(old)
    store.relocate()
    for digest, source in (("1" * 64, f"{old}/images/birds"), ("2" * 64, f"{old}-other/images/birds")):
        record = model()
        store.log(
            dataclasses.replace(
                record, dataset=dataclasses.replace(record.dataset, digest=digest, source=source)
            )
        )
    old.rename(new)
    assert TrackingStore(new).relocate() > 0
    with closing(sqlite3.connect(new / "mlruns" / "mlflow.db")) as database:
        rows = database.execute("SELECT dataset_source FROM datasets").fetchall()
    places = {json.loads(source)["tags"]["mlflow.source.name"] for (source,) in rows}
    assert {f"{new}/images/birds", f"{old}-other/images/birds"} <= places
    assert f"{old}/images/birds" not in places


def test_relocating_does_not_touch_a_place_that_only_begins_alike(template: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(template, home)
    alike = f"{template}/mlruns/artifacts-of-another/0"
    changed(home, f"UPDATE experiments SET artifact_location = '{alike}' WHERE experiment_id = 0")
    TrackingStore(home).relocate()
    with closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as database:
        query = "SELECT artifact_location FROM experiments WHERE experiment_id = 0"
        assert database.execute(query).fetchall() == [(alike,)]


def test_an_older_store_is_refused_untouched_with_the_command_that_upgrades_it(home: Path) -> None:
    changed(home, "UPDATE alembic_version SET version_num = '451aebb31d03'")
    changed(home, "DROP TABLE job_locks")  # as in an older schema: MLflow alone would upgrade it
    with pytest.raises(StoreError, match=r"older.*copy.*mlflow db upgrade sqlite:///"):
        TrackingStore(home).open()
    with closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as database:
        rows = database.execute("SELECT version_num FROM alembic_version").fetchall()
    assert rows == [("451aebb31d03",)]


def test_a_newer_store_asks_for_a_newer_mlflow(home: Path) -> None:
    changed(home, "UPDATE alembic_version SET version_num = 'fffffffffff0'")
    with pytest.raises(StoreError, match=r"newer MLflow.*install"):
        TrackingStore(home).open()


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\x00" + b"\x00" * 4000])
def test_a_damaged_store_is_refused_in_one_line(home: Path, content: bytes) -> None:
    for leftover in (home / "mlruns").glob("mlflow.db-*"):
        leftover.unlink()
    (home / "mlruns" / "mlflow.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"mlflow\.db.*(restore|move)") as refused:
        TrackingStore(home).open()
    assert "\n" not in str(refused.value)


def test_a_database_that_is_not_mlflows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlruns").mkdir()
    with closing(sqlite3.connect(tmp_path / "mlruns" / "mlflow.db")) as database, database:
        database.execute("CREATE TABLE other (x)")
    with pytest.raises(StoreError, match="no such table"):
        TrackingStore(tmp_path).open()


def test_mlflows_old_file_store_is_named(home: Path) -> None:
    (home / "mlruns" / "7").mkdir()
    (home / "mlruns" / "7" / "meta.yaml").write_text("name: old")
    with pytest.raises(StoreError, match="old file store"):
        TrackingStore(home).open()


def test_a_store_that_stays_locked_is_given_up_with_the_next_step(home: Path) -> None:
    store = TrackingStore(home, patience=0.2)
    store.open()
    with locked(home), pytest.raises(StoreError, match=r"locked by another process for 0\.2 s"):
        store.log(model())
    assert len(store.stored("birds", kind="base")) == 1


def test_a_store_that_is_locked_for_a_while_is_waited_for(home: Path) -> None:
    store = TrackingStore(home)
    store.open()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(home):
            held.set()
            release.wait(1.0)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    store.log(model(name="waited"))
    holder.join()
    assert store.stored("birds", kind="base")[0].name == "waited"


def test_reading_does_not_wait_for_a_writer(home: Path) -> None:
    store = TrackingStore(home)
    store.open()
    with locked(home):
        assert len(store.stored("birds", kind="base")) == 1


@pytest.mark.parametrize("name", ["who?", "a#b", "100%"])
def test_a_home_that_an_address_cannot_hold_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match=r"\? # %"):
        TrackingStore(tmp_path / name).open()


def test_a_home_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be written"):
        TrackingStore(tmp_path / "file" / "home").open()


@pytest.mark.parametrize("name", ["two words", "Vögel_été"])
def test_a_store_works_below_an_unusual_name(template: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(template, tmp_path / name)
    store = TrackingStore(tmp_path / name)
    store.relocate()
    run = store.log(phrase_tried("forest"))
    assert json.loads(store.artifact(run, "description.json"))["phrase"] == "forest"
    files = [path.name for path in (tmp_path / name).rglob("description.json")]
    assert len(files) == 2


def child(code: str, home: Path) -> Warm:
    return Warm("-c", code, str(home), cwd=home.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


LOGS_THREE = (
    "import sys; from pathlib import Path\n"
    "from clarify.track.mlflow import TrackingStore\n"
    "from tests.track.conftest import model\n"
    "store = TrackingStore(Path(sys.argv[1]))\n"
    "for k in range(3): store.log(model(name=f'run {k}'))\n"
)


@pytest.mark.slow
def test_four_processes_on_a_fresh_home_lose_nothing_and_say_nothing(tmp_path: Path) -> None:
    home = tmp_path / "fresh"
    children = [child(LOGS_THREE, home) for _ in range(4)]
    for each in children:
        out, err = each.communicate(timeout=900)
        assert (each.returncode, out, err) == (0, "", "")
    found = TrackingStore(home).stored("birds", kind="base")
    assert sorted(run.name for run in found) == sorted([f"run {k}" for k in range(3)] * 4)
    assert [path.name for path in tmp_path.iterdir()] == ["fresh"]


@pytest.mark.slow
def test_a_process_killed_while_it_makes_the_store_leaves_none(tmp_path: Path) -> None:
    home = tmp_path / "fresh"
    dying = LOGS_THREE.replace(
        "store = ",
        "import os\nfrom clarify.track import database\n"
        "database.use_write_ahead_log = lambda path: os._exit(9)\nstore = ",
    )
    killed = child(dying, home)
    killed.communicate(timeout=900)
    assert killed.returncode == 9
    assert not (home / "mlruns" / "mlflow.db").exists()
    TrackingStore(home).log(model())
    assert len(TrackingStore(home).stored("birds", kind="base")) == 1
    assert list((home / "mlruns").glob("*.unfinished*")) == []
