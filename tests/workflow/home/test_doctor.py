"""`clarify doctor`: what it finds, that it changes nothing, and that it comes back in time."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clarify.cli.doctor import findings
from clarify.embed.packages import Package
from clarify.track.history import Event, event_record
from clarify.track.mlflow import TrackingStore
from clarify.track.outbox import Outbox
from clarify.workflow.home.doctor import Finding
from tests.conftest import DATA_SET, Done, run_clarify
from tests.sentences import learn_bridge, use_words
from tests.track.conftest import context
from tests.track.test_outbox import entry, locked
from tests.track.test_registry import verdict


def content(home: Path) -> dict[str, str]:
    """Hash every file but SQLite's own helpers, which whoever looks in makes."""
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def examined(home: Path, *arguments: str) -> tuple[Done, dict[str, dict[str, Any]]]:
    done = run_clarify("doctor", "--json", *arguments, home=home)
    found = {each["what"]: each for each in done.result["findings"]}
    assert done.result["ok"] is (done.status == 0)
    assert done.result["ok"] is all(each["state"] != "wrong" for each in found.values())
    return done, found


@pytest.fixture
def no_store_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


pytestmark = [pytest.mark.usefixtures("no_store_set", "warm_processes"), pytest.mark.slow]


def test_a_home_that_is_in_order_has_nothing_wrong_and_is_left_as_it_was(home: Path) -> None:
    before = content(home)
    done, found = examined(home)
    assert done.status == 0, found
    for what in (
        "Python",
        "torch",
        "timm",
        "open_clip_torch",
        "mlflow",
        "streamlit",
        "polars",
        "plotly",
        "devices",
        "weights of small-clip",
        "home",
        "tracking store",
        "outbox",
        "disk",
        f"data set {DATA_SET}",
        f"features of {DATA_SET}",
    ):
        assert found[what]["state"] == "ok", found[what]
    assert "848 images, by small-clip" in found[f"features of {DATA_SET}"]["seen"]
    assert content(home) == before


def test_in_an_empty_folder_it_works_and_makes_nothing(tmp_path: Path) -> None:
    done, found = examined(tmp_path)
    assert done.status == 0
    assert found["tracking store"]["seen"].endswith("makes it")
    assert found["data sets"]["state"] == "note"
    assert "clarify demo" in found["data sets"]["remedy"]
    assert list(tmp_path.iterdir()) == []
    done, found = examined(tmp_path / "nowhere")
    assert done.status == 0
    assert found["home"]["state"] == "note"
    assert list(tmp_path.iterdir()) == []


def test_a_moved_an_old_and_a_broken_store_are_wrong_with_the_next_step(home: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(home, moved)
    done, found = examined(moved)
    assert done.status == 1
    assert "clarify relocate" in found["tracking store"]["remedy"]
    with closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    _, found = examined(home)
    assert "mlflow db upgrade" in found["tracking store"]["remedy"]
    (home / "mlruns" / "mlflow.db").write_bytes(b"not a database" * 100)
    _, found = examined(home)
    assert "is damaged" in found["tracking store"]["seen"]
    assert "restore a copy" in found["tracking store"]["remedy"]


def test_a_deleted_experiment_is_wrong_and_a_lost_alias_too(home: Path) -> None:
    store = TrackingStore(home)
    client = store.client
    client.create_registered_model(DATA_SET)
    tags = {"clarify.reasons": "[]"}
    client.create_model_version(DATA_SET, str(home), tags=tags)
    event = Event(
        number=1,
        action="promotion",
        from_version="",
        to_version="1",
        run_id="r",
        by="Ada",
        note="",
        at=0,
        done=True,
    )
    of_set = dataclasses.replace(context(), dataset=dataclasses.replace(context().dataset, name=DATA_SET))
    store.log(event_record(of_set, event, model_name=DATA_SET, verdict=verdict()))
    before = content(home)
    done, found = examined(home)
    assert done.status == 1
    assert "version 1, which was promoted, lacks the alias" in found[f"champion of {DATA_SET}"]["seen"]
    assert found[f"champion of {DATA_SET}"]["remedy"] == f"put it back: clarify rollback {DATA_SET}"
    client.set_registered_model_alias(DATA_SET, "champion", "1")
    client.delete_experiment(client.get_experiment_by_name(f"clarify/{DATA_SET}").experiment_id)
    done, found = examined(home)
    assert f"champion of {DATA_SET}" not in found
    assert "lies in its trash" in found[f"runs of {DATA_SET}"]["seen"]
    assert (
        f"MLFLOW_TRACKING_URI={store.uri} mlflow experiments restore -x"
        in found[f"runs of {DATA_SET}"]["remedy"]
    )
    assert content(home).keys() == before.keys()


def test_runs_whose_files_are_gone_are_told(home: Path) -> None:
    (one, *_) = (home / "mlruns" / "artifacts" / DATA_SET).iterdir()
    shutil.rmtree(one)
    done, found = examined(home)
    assert done.status == 1
    assert "of 1 runs the folder is gone" in found[f"files of {DATA_SET}"]["seen"]
    assert f"clarify train {DATA_SET}" in found[f"files of {DATA_SET}"]["remedy"]


def test_a_probe_that_takes_too_long_is_no_reason_to_install_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clarify.workflow.home.doctor.SECONDS", 0.01)
    _, found = examined(tmp_path)
    assert "no answer within 0.01 s" in found["devices and encoder"]["seen"]
    assert found["devices and encoder"]["state"] == "note"
    assert "install" not in found["devices and encoder"]["remedy"]
    assert "run it again" in found["devices and encoder"]["remedy"]


def test_a_store_that_somebody_writes_to_is_a_note(home: Path) -> None:
    with locked(home):
        done, found = examined(home)
    assert done.status == 0
    assert found["tracking store"]["state"] == "note"
    assert "locked" in found["tracking store"]["seen"]


def test_what_waits_and_what_is_damaged_in_the_outbox_is_shown_and_left_there(home: Path) -> None:
    outbox = Outbox(home)
    outbox.put(entry("forest", "a" * 32))
    outbox.put(entry("snow", "b" * 32))
    outbox.put(dataclasses.replace(entry("ice", "c" * 32), store="http://elsewhere:5000"))
    (home / "outbox" / ("b" * 32) / "0").unlink()
    before = content(home / "outbox")
    done, found = examined(home)
    assert done.status == 1
    assert found["outbox"]["state"] == "note"
    assert found["outbox"]["seen"] == "2 descriptions wait, the oldest since 2023-11-14T22:13:20+00:00"
    assert "1 wait for another store" in found["outbox"]["remedy"]
    assert "http://elsewhere:5000" in found["outbox"]["remedy"]
    assert found["outbox, damaged"]["state"] == "wrong"
    assert str(home / "outbox" / ("b" * 32)) in found["outbox, damaged"]["seen"]
    assert content(home / "outbox") == before


def test_weights_that_are_not_here_are_wrong_and_are_not_fetched(tmp_path: Path) -> None:
    done, found = examined(
        tmp_path,
        "--encoder",
        "open_clip:ViT-B-32:/no/such.safetensors",
        "--backbone",
        "timm:resnet18.a1_in1k",
    )
    assert done.status == 1
    assert found["weights of open_clip:ViT-B-32:/no/such.safetensors"]["state"] == "wrong"
    hub = found["weights of timm:resnet18.a1_in1k"]
    assert hub["state"] == "wrong"
    assert "copy it here" in hub["remedy"] or "give" in hub["remedy"]
    assert "clarify: 2 wrong: weights of" in done.err


def test_each_manifest_and_its_features_are_looked_at(home: Path) -> None:
    broken = home / "data_manifests" / "broken"
    broken.mkdir()
    (broken / "manifest.toml").write_text("name = ")
    for folder in (home / "features").iterdir():
        shutil.rmtree(folder)
    done, found = examined(home)
    assert done.status == 1
    assert found["data set broken"]["state"] == "wrong"
    assert found[f"features of {DATA_SET}"]["state"] == "note"
    assert f"clarify embed {DATA_SET}" in found[f"features of {DATA_SET}"]["remedy"]


def test_a_server_that_is_away_is_told_in_time_and_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as silent:  # takes connections and answers none
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        port = silent.getsockname()[1]
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:se-cret@127.0.0.1:{port}")
        started = time.monotonic()
        done, found = examined(tmp_path)
    assert time.monotonic() - started < 15
    assert done.status == 1
    assert found["tracking store"]["state"] == "wrong"
    assert "no answer within 5 s" in found["tracking store"]["seen"]
    assert "ada:***@127.0.0.1" in found["tracking store"]["seen"]
    assert "se-cret" not in done.out + done.err


def test_an_address_that_is_not_legal_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    done, found = examined(tmp_path)
    assert done.status == 1
    assert "legal are postgresql://" in found["tracking store"]["remedy"]


def test_the_text_is_aligned_with_the_remedy_below() -> None:
    long = "a store that is somewhere else " * 5
    lines = findings(
        [
            Finding(what="Python", state="ok", seen="3.11"),
            Finding(what="tracking store", state="wrong", seen=long, remedy="start it"),
        ]
    ).splitlines()
    assert lines[0] == "ok     Python          3.11"
    assert lines[1].startswith("WRONG  tracking store  a store")
    assert lines[2].startswith(" " * 23)
    assert lines[-2] == " " * 23 + "> start it"
    assert lines[-1] == "1 wrong"
    assert all(len(line) <= 100 for line in lines)


def test_a_description_that_waits_is_said_to(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clarify.track.mlflow.DESCRIPTION_SECONDS", 0.2)
    with locked(home):
        done = run_clarify("describe", DATA_SET, "landbird", "forest", home=home)
    assert done.status == 0, done.err
    assert "kept, and waiting in the outbox for the tracking store" in done.out
    assert done.err.count("note: the tracking store") == 1
    retrained = run_clarify("retrain", DATA_SET, "--json", home=home)
    assert retrained.status == 0, retrained.err
    assert not Outbox(home).names()
    assert os.listdir(home / "outbox") == [".lock"]


def test_making_the_store_is_told_on_stderr(home: Path) -> None:
    shutil.rmtree(home / "mlruns")
    done = run_clarify("train", DATA_SET, home=home)
    assert done.status == 0
    assert done.err.count("making the tracking store") == 1
    assert "making" not in done.out


@pytest.fixture
def bridged(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose data set's own encoder is a bridge; its text model is none that is installed."""
    with monkeypatch.context() as patch:
        use_words(patch)
        learn_bridge(home, tmp_path)
    assert run_clarify("encoder", DATA_SET, "bridge:captions", home=home).status == 0
    return home


def test_a_bridge_is_looked_at_with_its_network_its_text_model_and_both_features(bridged: Path) -> None:
    done, found = examined(bridged)
    assert found[f"bridge:captions of {DATA_SET}"]["seen"] == "bridge from small-clip by captions"
    assert found[f"network of {DATA_SET}"]["state"] == "ok"
    text_model = found[f"text model of {DATA_SET}"]  # never the one it was learned with
    assert done.status == 1
    assert text_model["state"] == "wrong"
    assert "photos" in text_model["seen"] or "is another (" in text_model["seen"]
    told = [each["seen"] for each in done.result["findings"] if each["what"] == f"features of {DATA_SET}"]
    assert told == ["848 images, by bridge:captions", "848 images, by small-clip"]


def test_a_damaged_bridge_and_a_damaged_choice_are_wrong_with_the_next_step(bridged: Path) -> None:
    own = bridged / "encoders" / DATA_SET
    (own / "captions" / "bridge.safetensors").write_bytes(b"no tensors")
    _, found = examined(bridged)
    assert "is damaged" in found[f"bridge:captions of {DATA_SET}"]["seen"]
    assert found[f"bridge:captions of {DATA_SET}"]["remedy"] == (
        f"learn it again: clarify bridge {DATA_SET} --label captions"
    )
    (own / "settled.json").write_bytes(b"{")
    _, found = examined(bridged)
    assert "settled.json is damaged" in found[f"encoder of {DATA_SET}"]["seen"]
    assert found[f"encoder of {DATA_SET}"]["remedy"].endswith(f"clarify encoder {DATA_SET} SPEC")


def test_a_network_whose_weights_are_gone_is_wrong(bridged: Path, tmp_path: Path) -> None:
    place = bridged / "encoders" / DATA_SET / "captions" / "bridge.json"
    place.write_text(
        place.read_text().replace('"spec": "small-clip"', '"spec": "timm:resnet18:/no/such.pth"')
    )
    _, found = examined(bridged)
    assert found[f"network of {DATA_SET}"]["state"] == "wrong"
    assert "/no/such.pth" in found[f"network of {DATA_SET}"]["seen"]


def test_photographs_that_nothing_embedded_are_a_note_and_load_no_small_clip(home: Path) -> None:
    toml = home / "data_manifests" / DATA_SET / "manifest.toml"
    toml.write_text(toml.read_text().replace("drawn by clarify.demo", "taken by Ada"))
    for folder in ("features", "encoders"):
        shutil.rmtree(home / folder)
    done, found = examined(home)
    assert done.status == 0, found
    assert not [what for what in found if "small-clip" in what]
    assert found[f"features of {DATA_SET}"]["state"] == "note"
    assert found[f"features of {DATA_SET}"]["remedy"] == f"run: clarify embed {DATA_SET}"


def test_packages_that_carry_weights_are_absent_whole_or_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "carries_weights"
    meant = Package(
        name="carries-weights 1.0",
        module="carries_weights",
        folder="models",
        files={"weights.pth": hashlib.sha256(b"meant").hexdigest()},
        licence="MIT",
        source="nowhere",
    )
    monkeypatch.setattr("clarify.workflow.home.doctor.NETWORKS", {"net": meant})
    monkeypatch.syspath_prepend(tmp_path)

    def seen() -> dict[str, Any]:
        _, found = examined(tmp_path / "nowhere")
        return found["carries-weights 1.0"]

    assert (seen()["state"], seen()["seen"]) == ("note", "not installed")
    assert "clarify[photos]" in seen()["remedy"]
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / "weights.pth").write_bytes(b"of another version")
    assert seen()["state"] == "wrong"
    assert "SHA-256" in seen()["seen"]
    (package / "models" / "weights.pth").write_bytes(b"meant")
    assert seen()["state"] == "ok"
