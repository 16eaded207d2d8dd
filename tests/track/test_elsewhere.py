"""The same store on PostgreSQL and behind an MLflow server: real ones, on loopback."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clarify.errors import AwayError, NotFoundError, StoreError
from clarify.track.mlflow import WAITING, TrackingStore
from clarify.track.outbox import Outbox
from clarify.track.record import RunRecord
from clarify.track.registry import crown, version_of
from tests.track.conftest import CLASSES, WIDTH, context, head, model, phrase_tried
from tests.track.elsewhere import Postgres, Server, free_port, postgres_programs
from tests.track.test_outbox import OPENS, child
from tests.track.test_registry import LOADS, registered, verdict
from tests.track.test_store import LOGS_THREE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # Not in pytest's folders: they are their user's alone, and PostgreSQL's is another.
    with tempfile.TemporaryDirectory(prefix="clarify-postgres-") as folder:
        found = Postgres(Path(folder), programs)
        found.start()
        try:
            yield found
        finally:
            found.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("server"))
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def filled(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database that MLflow has filled: copying it takes no time."""
    uri = postgres.make_database("filled")
    code = OPENS.replace("Path(sys.argv[1])", "Path(sys.argv[1]), uri=sys.argv[2]")
    # By a process of its own: a database that somebody is connected to cannot be copied.
    opened = child(code, str(tmp_path_factory.mktemp("filled")), uri)
    out, err = opened.communicate(timeout=300)
    assert (opened.returncode, out, err) == (0, "", "")
    return "filled"


@pytest.fixture(params=["postgresql", "server"])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[tuple[Postgres | Server, str]]:
    """A running store that is away from the home, and its address."""
    if request.param == "server":
        server: Server = request.getfixturevalue("server")
        yield server, server.uri
        server.start()
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    name = f"copy_{time.monotonic_ns()}"
    filled = request.getfixturevalue("filled")
    postgres.sql(f'CREATE DATABASE "{name}" TEMPLATE "{filled}"', "postgres")
    yield postgres, postgres.address(name)
    postgres.start()


@pytest.fixture
def data_set(request: pytest.FixtureRequest) -> str:
    """A data set of the test's own: the server is everybody's."""
    return "".join(each for each in request.node.name if each.isalnum())[-60:]


def of(data_set: str, record: RunRecord) -> RunRecord:
    return dataclasses.replace(record, tags={**record.tags, "data_set": data_set})


def tried(store: TrackingStore, data_set: str) -> list[str]:
    return [run.tags["phrase"] for run in store.stored(data_set, kind="description")]


Elsewhere = tuple[Postgres | Server, str]


def test_what_was_logged_elsewhere_is_read_back(elsewhere: Elsewhere, data_set: str, tmp_path: Path) -> None:
    store = TrackingStore(tmp_path, uri=elsewhere[1])
    record = of(data_set, model())
    run = store.log(record)
    reader = TrackingStore(tmp_path / "another home", uri=elsewhere[1])
    (found,) = reader.stored(data_set, kind="base")
    assert found.id == run
    assert dict(found.tags) == dict(record.tags)
    assert dict(found.metrics) == pytest.approx(dict(record.metrics))
    for each in record.artifacts:
        assert reader.artifact(run, each.path) == each.content
    with pytest.raises(NotFoundError, match=r"nothing\.json"):
        reader.artifact(run, "nothing.json")
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


def test_many_params_and_metrics_arrive(elsewhere: Elsewhere, data_set: str, tmp_path: Path) -> None:
    store = TrackingStore(tmp_path, uri=elsewhere[1])
    many = {f"m{k}": float(k) for k in range(1300)}
    params = {f"p{k}": k for k in range(150)}
    store.log(dataclasses.replace(of(data_set, model()), metrics=many, params=params))
    (found,) = store.stored(data_set, kind="base")
    assert dict(found.metrics) == many
    assert len(found.params) == 150


def test_four_writers_at_once_lose_nothing(elsewhere: Elsewhere, data_set: str, tmp_path: Path) -> None:
    code = LOGS_THREE.replace("(Path(sys.argv[1]))", "(Path(sys.argv[1]), uri=sys.argv[2])")
    code = code.replace("import model", "import model\nfrom tests.track.test_elsewhere import of")
    code = code.replace("store.log(model(", "store.log(of(sys.argv[3], model(").replace("'))", "')))")
    children = [child(code, str(tmp_path), elsewhere[1], data_set) for _ in range(4)]
    said = [each.communicate(timeout=300) for each in children]
    assert said == [("", "")] * 4
    assert [each.returncode for each in children] == [0] * 4
    found = TrackingStore(tmp_path, uri=elsewhere[1]).stored(data_set, kind="base")
    assert sorted(run.name for run in found) == sorted([f"run {k}" for k in range(3)] * 4)


def test_a_champion_is_loaded_by_name_without_clarify(
    elsewhere: Elsewhere, data_set: str, tmp_path: Path
) -> None:
    uri = elsewhere[1]
    store = TrackingStore(tmp_path / "home", uri=uri)
    store.log(of(data_set, model("retraining", parent="p", name="retrained")))
    (run,) = store.stored(data_set, kind="retraining")
    first = registered(store, verdict(now_correct=42), run_id=run.id, name=data_set)
    second = registered(store, verdict(), run_id=run.id, name=data_set)
    dataset = dataclasses.replace(context().dataset, name=data_set)
    crown(store, second, dataclasses.replace(context(), dataset=dataset))
    assert (first.version, second.version) == ("1", "2")
    assert version_of(store, data_set) == second
    assert version_of(store, "nobody") is None
    done = subprocess.run(
        [sys.executable, "-c", LOADS.replace("birds", data_set), store.uri, str(WIDTH)],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answered = json.loads(done.stdout)
    features = np.random.default_rng(1).normal(size=(50, WIDTH)).astype(np.float32)
    expected = head().probabilities(features)
    for k, name in enumerate(CLASSES):
        np.testing.assert_allclose(answered[name], expected[:, k], rtol=1e-12)


def test_while_it_is_away_descriptions_wait_and_arrive_once_after_a_restart(
    elsewhere: Elsewhere, data_set: str, tmp_path: Path
) -> None:
    service, uri = elsewhere
    before = TrackingStore(tmp_path, uri=uri)
    base = before.log(of(data_set, model()))
    before.log(of(data_set, phrase_tried("water")))
    (seen,) = before.stored(data_set, kind="base")
    weights = before.artifact(base, "head.safetensors")
    tried(before, data_set)
    service.stop()

    told: list[str] = []
    started = time.monotonic()
    away = TrackingStore(tmp_path, uri=uri, say=told.append)  # as a new process would
    assert away.stored(data_set, kind="base") == [seen]
    assert away.artifact(base, "head.safetensors") == weights
    waiting = away.log(of(data_set, phrase_tried("forest")))
    assert waiting.startswith(WAITING)
    assert tried(away, data_set) == ["forest", "water"]
    assert time.monotonic() - started < 10
    assert len(told) == 1
    assert "cannot be reached" in told[0]
    assert "se cret" not in told[0]
    with pytest.raises(AwayError):
        away.log(of(data_set, model()))
    with pytest.raises(AwayError):
        away.stored("never seen", kind="base")
    before.log(of(data_set, phrase_tried("snow")))  # a process that was connected

    service.start()
    code = OPENS.replace("Path(sys.argv[1])", "Path(sys.argv[1]), uri=sys.argv[2]")
    children = [child(code, str(tmp_path), uri) for _ in range(3)]
    for each in children:
        out, err = each.communicate(timeout=120)
        assert (each.returncode, out, err) == (0, "", "")
    back = TrackingStore(tmp_path, uri=uri)
    assert tried(back, data_set) == ["snow", "forest", "water"]
    assert Outbox(tmp_path).names() == []
    ids = [run.id for run in back.stored(data_set, kind="description")]
    assert not any(run.startswith(WAITING) for run in ids)
    assert back.artifact(waiting, "distribution.html") == back.artifact(ids[1], "distribution.html")
    assert back.away == ""


def test_a_server_that_answers_nothing_is_noticed_in_time(
    server: Server, data_set: str, tmp_path: Path
) -> None:
    connected = TrackingStore(tmp_path, uri=server.uri)
    connected.log(of(data_set, model()))
    connected.stored(data_set, kind="base")
    with server.frozen():
        for store in (connected, TrackingStore(tmp_path, uri=server.uri)):
            started = time.monotonic()
            assert store.log(of(data_set, phrase_tried("forest"))).startswith(WAITING)
            assert len(store.stored(data_set, kind="base")) == 1
            assert time.monotonic() - started < 10
    assert len(tried(TrackingStore(tmp_path, uri=server.uri), data_set)) == 2
    assert Outbox(tmp_path).names() == []


def test_four_processes_on_an_empty_database_make_it_once(postgres: Postgres, tmp_path: Path) -> None:
    uri = postgres.make_database("empty")
    code = LOGS_THREE.replace("(Path(sys.argv[1]))", "(Path(sys.argv[1]), uri=sys.argv[2])")
    children = [child(code, str(tmp_path), uri) for _ in range(4)]
    for each in children:
        out, err = each.communicate(timeout=300)
        assert (each.returncode, out, err) == (0, "", "")
    assert len(TrackingStore(tmp_path, uri=uri).stored("birds", kind="base")) == 12


def test_a_database_that_a_killed_process_was_making_is_made_by_the_next(
    postgres: Postgres, tmp_path: Path
) -> None:
    uri = postgres.make_database("killed")
    code = (
        "import mlflow.store.db.utils as utils, os, signal\n"
        "utils._upgrade_db = lambda engine: os.kill(os.getpid(), signal.SIGKILL)\n"
    ) + OPENS.replace("Path(sys.argv[1])", "Path(sys.argv[1]), uri=sys.argv[2]")
    child(code, str(tmp_path), uri).communicate(timeout=120)
    assert ("experiments",) in postgres.sql(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", "killed"
    )
    assert "empty" in TrackingStore(tmp_path, uri=uri).look()
    TrackingStore(tmp_path, uri=uri).log(model())


def test_databases_that_are_refused_say_why_without_a_password(
    postgres: Postgres, filled: str, tmp_path: Path
) -> None:
    postgres.sql(f'CREATE DATABASE old TEMPLATE "{filled}"', "postgres")
    postgres.sql("UPDATE alembic_version SET version_num = '451aebb31d03'", "old")
    postgres.sql(f'CREATE DATABASE new TEMPLATE "{filled}"', "postgres")
    postgres.sql("UPDATE alembic_version SET version_num = 'fffffffffff0'", "new")
    postgres.sql("CREATE DATABASE closed", "postgres")
    postgres.sql("CREATE ROLE guest LOGIN PASSWORD 'se cret%'", "postgres")
    for uri, expected in (
        (postgres.address("filled", password="wr0ngpass"), "password authentication failed"),
        (postgres.address("nothing"), "does not exist"),
        (postgres.address("old"), "older MLflow.*mlflow db upgrade"),
        (postgres.address("new"), "newer MLflow.*install"),
        (postgres.address("closed", user="guest"), "permission denied.*GRANT"),
    ):
        for look in (True, False):
            store = TrackingStore(tmp_path, uri=uri)
            if look and "closed" in uri:
                continue
            with pytest.raises(StoreError, match=expected) as refused:
                store.look() if look else store.log(phrase_tried())
            assert not isinstance(refused.value, AwayError)
            assert "\n" not in str(refused.value)
            assert "cret" not in str(refused.value)
            assert "wr0ngpass" not in str(refused.value)
    assert not (tmp_path / "outbox").exists()


def test_a_home_that_was_moved_takes_its_database_along(
    postgres: Postgres, filled: str, tmp_path: Path
) -> None:
    postgres.sql(f'CREATE DATABASE moved TEMPLATE "{filled}"', "postgres")
    uri = postgres.address("moved")
    run = TrackingStore(tmp_path / "home", uri=uri).log(model())
    (tmp_path / "home").rename(tmp_path / "new")
    moved = TrackingStore(tmp_path / "new", uri=uri)
    with pytest.raises(StoreError, match="clarify relocate"):
        moved.open()
    assert moved.relocate() > 0
    assert moved.relocate() == 0
    assert moved.artifact(run, "training.json")


def test_a_server_without_room_for_files_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(folder, "--no-serve-artifacts", "--default-artifact-root", str(folder / "own"))
    server.start()
    try:
        with pytest.raises(StoreError, match="--serve-artifacts"):
            TrackingStore(tmp_path / "home", uri=server.uri).log(model())
        assert not (folder / "own").exists()
    finally:
        server.stop()


def test_something_else_that_speaks_http_is_refused(tmp_path: Path) -> None:
    port = free_port()
    other = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        store = TrackingStore(tmp_path, uri=f"http://127.0.0.1:{port}")
        for _ in range(100):
            with pytest.raises(StoreError) as refused:
                store.look()
            if not isinstance(refused.value, AwayError):
                break
            time.sleep(0.1)
        assert "as no MLflow server does" in str(refused.value)
    finally:
        other.kill()
        other.wait()
