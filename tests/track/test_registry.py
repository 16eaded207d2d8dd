"""The registry: versions with their verdicts, the champion, and the model as anybody loads it."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clarify.errors import InputError, StoreError
from clarify.method.decisions.paired import Paired
from clarify.track.gate_evidence import GateEvidence, GateGroup
from clarify.track.mlflow import TrackingStore
from clarify.track.promotion import Gate
from clarify.track.registry import Version, crown, register, version_of
from clarify.track.verdict import Verdict
from tests.track.conftest import CLASSES, WIDTH, context, head

LOADS = """
import json, sys
import mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/birds@champion")
rng = np.random.default_rng(1)
found = model.predict(rng.normal(size=(50, int(sys.argv[2]))).astype(np.float32))
print(json.dumps({name: found[name].tolist() for name in found.columns}))
"""


def verdict(*, now_correct: int = 70) -> Verdict:
    half = GateGroup(
        name="landbird · with water",
        class_name="landbird",
        described=True,
        now_correct=now_correct,
        over_base=Paired(count=100, better=now_correct - 40, worse=0),
        over_control=Paired(count=100, better=now_correct - 40, worse=0),
    )
    rest = dataclasses.replace(half, name="landbird · without water", now_correct=95)
    return Gate().judge(GateEvidence(groups=(half, rest), subgroups=(), validation=200, train=0))


def registered(store: TrackingStore, said: Verdict, *, name: str = "birds", run_id: str = "") -> Version:
    run_id = run_id or store.stored("birds", kind="retraining")[0].id
    return register(
        store,
        model_name=name,
        run_id=run_id,
        head=head(),
        encoder={"schema_version": 1, "architecture": "tiny"},
        verdict=said,
        by="Ada",
        note="it finds birds over water",
        card="# Card\n" + "a line\n" * 1000,
    )


def test_a_version_has_its_card_as_description_and_whole_beside_the_model(store: TrackingStore) -> None:
    made = registered(store, verdict())
    found = store.client.get_model_version(made.model_name, made.version)
    assert found.description.startswith("# Card\na line\n")
    assert found.description.endswith("(whole in `card.md`)")
    assert len(found.description) <= 5000
    assert (Path(found.source) / "card.md").read_text().endswith("a line\n" * 1000)
    model = store.client.get_registered_model(made.model_name)
    assert "`champion`" in model.description


def test_a_registered_model_of_an_older_version_gets_its_description_but_peoples_own_stays(
    store: TrackingStore,
) -> None:
    name = registered(store, verdict()).model_name
    for theirs, expected in (("", "`champion`"), ("ours", "ours")):
        store.client.update_registered_model(name, theirs)
        registered(store, verdict())
        assert expected in store.client.get_registered_model(name).description


@pytest.mark.slow
def test_the_champion_predicts_as_the_head_without_clarify_or_pickle(
    store: TrackingStore, tmp_path: Path
) -> None:
    crown(store, registered(store, verdict()), context())
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    environment |= {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", LOADS, store.uri, str(WIDTH)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answered = json.loads(done.stdout)
    features = np.random.default_rng(1).normal(size=(50, WIDTH)).astype(np.float32)
    expected = head().probabilities(features)
    assert list(answered) == ["label", *CLASSES]
    for k, name in enumerate(CLASSES):
        np.testing.assert_allclose(answered[name], expected[:, k], rtol=1e-12)
    assert answered["label"] == [CLASSES[k] for k in head().predict(features)]


def test_no_file_of_a_registered_model_is_a_pickle(store: TrackingStore) -> None:
    version = registered(store, verdict())
    folder = store.artifact_folder(version.run_id) / "model-1"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {"", ".json", ".md", ".py", ".safetensors", ".txt", ".yaml"}
    assert any(path.suffix == ".safetensors" for path in files)
    assert not any(path.read_bytes().startswith(b"\x80\x04") for path in files)


def test_the_verdict_is_kept_with_the_version_and_in_its_files(store: TrackingStore) -> None:
    said = verdict(now_correct=42)
    version = registered(store, said)
    found = store.client.get_model_version("birds", version.version)
    assert found.tags["clarify.verdict"] == "refused"
    assert found.tags["clarify.by"] == "Ada"
    assert found.tags["clarify.note"] == "it finds birds over water"
    kept = json.loads(store.artifact(version.run_id, "model-1/verdict.json"))
    assert Verdict.from_dict(kept) == said


def test_registering_a_run_again_leaves_its_first_version_as_it_was(store: TrackingStore) -> None:
    first, second = registered(store, verdict()), registered(store, verdict(now_correct=42))
    sources = [store.client.get_model_version("birds", each.version).source for each in (first, second)]
    kept = [json.loads((Path(source) / "verdict.json").read_text()) for source in sources]
    assert [each["passed"] for each in kept] == [True, False]


def test_a_version_that_the_gate_refused_cannot_be_crowned(store: TrackingStore) -> None:
    version = registered(store, verdict(now_correct=42))
    with pytest.raises(
        InputError, match=r"refused by the gate: landbird · with water 40.0% before, 42.0% now"
    ):
        crown(store, version, context())
    assert version_of(store, "birds") is None


def test_the_newest_crowned_version_is_the_champion(store: TrackingStore) -> None:
    assert version_of(store, "birds") is None
    first, second = registered(store, verdict()), registered(store, verdict(now_correct=80))
    crown(store, first, context())
    assert version_of(store, "birds") == first
    crown(store, second, context())
    assert version_of(store, "birds") == second
    assert (first.version, second.version) == ("1", "2")


def test_a_registered_model_survives_a_move(store: TrackingStore, home: Path) -> None:
    import mlflow

    crown(store, registered(store, verdict()), context())
    moved = home.with_name("moved")
    home.rename(moved)
    again = TrackingStore(moved)
    with pytest.raises(StoreError, match="moved"):
        again.open()
    again.relocate()
    found = again.client.get_model_version_by_alias("birds", "champion")
    model = mlflow.pyfunc.load_model(found.source)
    features = np.random.default_rng(2).normal(size=(3, WIDTH)).astype(np.float32)
    assert list(model.predict(features).columns) == ["label", *CLASSES]


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a.b", "50%", 'a"b', "it's"])
def test_a_name_that_the_registry_cannot_hold_is_refused(store: TrackingStore, name: str) -> None:
    with pytest.raises(InputError, match="legal"):
        registered(store, verdict(), name=name)
