"""A bridge goes along with its data set; the network and the text model are named by their hashes."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from clarify.errors import AwayError
from clarify.track.mlflow import TrackingStore
from clarify.track.runs import BaseRun, BridgeRun, DescriptionRun
from clarify.workflow.home.settling import Settled, settled
from tests.conftest import DATA_SET, copied, run_clarify
from tests.sentences import learn_bridge, use_words
from tests.workflow.exchange.test_bundle import rewritten

pytestmark = pytest.mark.slow

BRIDGE = f"encoders/{DATA_SET}/captions"
SAYS = f"encoders/{DATA_SET}/settled.json"


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    use_words(monkeypatch)


def bundled(home: Path, path: Path) -> Path:
    done = run_clarify("export", DATA_SET, "--bundle", str(path), "--json", home=home)
    assert done.status == 0, done.err
    assert done.result["bundle"]["bridges"] == 1
    return path


@pytest.fixture(scope="module")
def origin(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first machine's home: a bridge is the data set's own encoder."""
    folder = tmp_path_factory.mktemp("bridged")
    home = copied(made_home, folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        use_words(patch)
        learn_bridge(home, folder)
        for step in (
            ("encoder", DATA_SET, "bridge:captions"),
            ("train", DATA_SET),
            ("describe", DATA_SET, "landbird", "water"),
        ):
            done = run_clarify(*step, home=home)
            assert done.status == 0, done.err
    return home


@pytest.fixture(scope="module")
def bundle(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundled(origin, tmp_path_factory.mktemp("bundled") / "birds.tar")


def score(home: Path) -> object:
    done = run_clarify("score", DATA_SET, "landbird", "water", "--json", home=home)
    assert done.status == 0, done.err
    return done.result["error_score"]


def test_a_bridge_arrives_with_what_says_that_it_is_the_encoder(
    origin: Path, bundle: Path, tmp_path: Path, words: None
) -> None:
    home = tmp_path / "home"
    done = run_clarify("import", str(bundle), "--json", home=home)
    assert done.result["bridges"] == 1
    for name in (f"{BRIDGE}/bridge.json", f"{BRIDGE}/bridge.safetensors", SAYS):
        assert (home / name).read_bytes() == (origin / name).read_bytes()
    assert settled(home, DATA_SET) == Settled(encoder="bridge:captions")
    assert score(home) == score(origin)
    retrained = run_clarify("retrain", DATA_SET, home=home)
    assert retrained.status == 0, retrained.err


def test_weights_stay_behind_and_are_named_by_hash(bundle: Path) -> None:
    with tarfile.open(bundle, "r:") as tar:
        own = [name for name in tar.getnames() if name.startswith("encoders/")]
        described = json.load(tar.extractfile(f"{BRIDGE}/bridge.json"))  # type: ignore[arg-type]
    assert own == [f"{BRIDGE}/bridge.safetensors", f"{BRIDGE}/bridge.json", SAYS]
    assert len(described["text"]["sha256"]) == 64
    assert len(described["network"]["identity"]["weights"]) == 64


def test_what_is_missing_there_is_said_in_a_line_with_what_brings_it(bundle: Path, tmp_path: Path) -> None:
    done = run_clarify("import", str(bundle), home=tmp_path / "home")
    assert done.status == 0, done.err
    (line,) = [line for line in done.out.splitlines() if line.startswith("missing: ")]
    assert line.startswith(f"missing: text model of {DATA_SET}: ")
    assert "pip install 'clarify[photos]'" in line or "is another (" in line


def test_what_the_home_has_settled_stays(origin: Path, bundle: Path, tmp_path: Path, words: None) -> None:
    home = copied(origin, tmp_path / "home")
    assert run_clarify("encoder", DATA_SET, "small-clip", home=home).status == 0
    done = run_clarify("import", str(bundle), home=home)
    assert done.status == 0, done.err
    assert settled(home, DATA_SET) == Settled(encoder="small-clip")


def test_another_bridge_of_that_label_is_in_the_way(origin: Path, bundle: Path, tmp_path: Path) -> None:
    home = copied(origin, tmp_path / "home")
    place = home / BRIDGE / "bridge.json"
    place.write_bytes(place.read_bytes() + b" ")
    assert (
        "is not the file of that name in the bundle" in run_clarify("import", str(bundle), home=home).refusal
    )


def cut_short(content: dict[str, bytes]) -> None:
    content[f"{BRIDGE}/bridge.safetensors"] = content[f"{BRIDGE}/bridge.safetensors"][:-8]


def changed(content: dict[str, bytes]) -> None:
    content[f"{BRIDGE}/bridge.json"] = content[f"{BRIDGE}/bridge.json"].replace(b"ab" * 32, b"cd" * 32)


def without_numbers(content: dict[str, bytes]) -> None:
    del content[f"{BRIDGE}/bridge.safetensors"]


def unsettled(content: dict[str, bytes]) -> None:
    content[SAYS] = b'{"encoder": '


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (cut_short, f"the bridge in {BRIDGE} is damaged"),
        (changed, f"the bridge in {BRIDGE} is damaged"),
        (without_numbers, f"the bridge in {BRIDGE} is damaged"),
        (unsettled, f"{SAYS} is damaged"),
    ],
)
def test_a_damaged_bridge_is_refused_and_nothing_is_there(
    bundle: Path, tmp_path: Path, break_it: Callable[[dict[str, bytes]], None], told: str
) -> None:
    broken = rewritten(bundle, tmp_path / "broken.tar", break_it)
    refusal = run_clarify("import", str(broken), home=tmp_path / "home").refusal
    assert told in refusal
    assert "make the bundle again" in refusal
    assert ".import" not in refusal
    assert {path.name for path in (tmp_path / "home").iterdir()} <= {".import"}


def test_a_bridge_of_a_network_that_was_trained_here_finds_it_there(
    network_home: Path, tmp_path: Path, words: None
) -> None:
    """Runs have other ids where a bundle was imported."""
    home = copied(network_home, tmp_path / "home")
    learned = learn_bridge(home, tmp_path, "--network", "base")
    assert str(learned["network"]["spec"]).startswith("run:")  # type: ignore[index]
    other = tmp_path / "other"
    assert run_clarify("import", str(bundled(home, tmp_path / "b.tar")), home=other).status == 0
    from clarify.assembly import open_project
    from clarify.config import Settings
    from clarify.embed.encoders import loaded

    project = open_project(Settings(home=other, encoder="bridge:captions"), DATA_SET)
    run = str(learned["network"]["spec"]).removeprefix("run:")  # type: ignore[index]
    assert run not in {each.id for each in project.tracking.runs(DATA_SET, BaseRun)}
    assert loaded(project.backbone).identity == project.backbone.identity


def test_a_data_set_that_nothing_embedded_goes_as_well(home: Path, tmp_path: Path) -> None:
    toml = home / "data_manifests" / DATA_SET / "manifest.toml"
    toml.write_text(toml.read_text().replace("drawn by clarify.demo", "taken by Ada"))
    for folder in ("features", "encoders"):
        shutil.rmtree(home / folder)
    done = run_clarify("export", DATA_SET, "--bundle", str(tmp_path / "b.tar"), "--json", home=home)
    assert done.status == 0, done.err
    assert (done.result["bundle"]["features"], done.result["bundle"]["bridges"]) == (0, 0)
    assert run_clarify("import", str(tmp_path / "b.tar"), home=tmp_path / "other").status == 0
    assert not os.path.exists(tmp_path / "other" / "encoders")


def test_what_is_known_of_a_bridge_is_a_run_that_its_scores_lead_to(
    origin: Path, bundle: Path, tmp_path: Path, words: None
) -> None:
    """Here, and where the bundle was imported."""
    home = tmp_path / "home"
    assert run_clarify("import", str(bundle), home=home).status == 0
    learned = json.loads((origin / BRIDGE / "bridge.json").read_bytes())
    for store in (TrackingStore(origin), TrackingStore(home)):
        (run,) = store.runs(DATA_SET, BridgeRun)
        assert (run.name, run.way, run.network) == ("bridge:captions", "captions", "small-clip")
        assert run.quality == learned["quality"]
        (phrase, *_) = [each for each in store.runs(DATA_SET, DescriptionRun) if each.encoder == run.encoder]
        named = json.loads(store.artifact(phrase.id, "encoder.json"))
        assert named.pop("name") == "bridge:captions"
        assert named == learned["identity"]
        described = json.loads(store.artifact(run.id, "bridge.json"))
        assert described == {
            key: value for key, value in learned.items() if key not in ("terms", "file_sha256")
        }
        table = pl.read_parquet(store.artifact(run.id, "words.parquet"))
        assert table["word"].to_list() == learned["terms"]


def test_a_bridge_that_cannot_be_recorded_is_not_there(
    home: Path, tmp_path: Path, words: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: object, record: object) -> str:
        raise AwayError("the tracking store is away; start it")

    monkeypatch.setattr("clarify.track.mlflow.TrackingStore.log", away)
    before = set((home / "encoders").rglob("*"))
    with pytest.raises(AssertionError, match="is away"):
        learn_bridge(home, tmp_path)
    assert set((home / "encoders").rglob("*")) == before
