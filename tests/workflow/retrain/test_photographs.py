"""A network with real weights on real photographs: trained, corrected, exported, served; few of each."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.real_waterbirds import NETWORK as LITE0
from clarify.track.mlflow import TrackingStore
from clarify.track.runs import BaseRun
from tests.conftest import Done, copied, run_clarify
from tests.real import needs_photographs, needs_weights, write_waterbirds

pytestmark = [pytest.mark.slow, needs_photographs, needs_weights]

Clarify = Callable[..., Done]
BIRDS = "birds"
QUICK = ("--epochs", "1", "--batch-size", "8")
COUNTS = {"train": 6, "val": 6, "test": 3}
"""Photographs of each of the four groups."""


@pytest.fixture(scope="module")
def photo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, a network trained on from its real weights, and what it gets wrong in words.

    The small CLIP is asked for the words: what it makes of photographs does not matter here. The rate
    is so low that something is left to correct.
    """
    home = tmp_path_factory.mktemp("photographs") / "home"
    photos = home / "images" / "photos"
    write_waterbirds(photos, COUNTS)
    for step in (
        ("data", "import", "folder", str(photos), "--name", BIRDS),
        ("embed", BIRDS, "--encoder", "small-clip"),
        ("train", BIRDS, "--model", f"timm:{LITE0}", "--weights", "pretrained", "--rate", "2e-4", *QUICK),
        ("describe", BIRDS, "landbird", "water", "--reviewer", "Ada"),
        ("describe", BIRDS, "waterbird", "land", "--reviewer", "Ada"),
    ):
        done = run_clarify(*step, home=home)
        assert done.status == 0, done.err
    return home


@pytest.fixture
def home(photo_home: Path, tmp_path: Path) -> Path:
    return copied(photo_home, tmp_path / "home")


def pictures(home: Path) -> list[Path]:
    return sorted((home / "images" / "photos" / "test").rglob("*.jpg"))


def test_the_record_says_whose_weights_a_network_began_with(photo_home: Path) -> None:
    settings = TrackingStore(photo_home).runs(BIRDS, BaseRun)[0].settings
    assert settings["model"] == f"timm:{LITE0}"
    assert "Apache-2.0, SHA-256 579344248a93" in str(settings["weights"])


@pytest.mark.parametrize("part", [("--whole",), ("--last-layers", "2")])
def test_a_corrected_part_of_it_is_written_as_onnx_and_served_with_the_labels_that_it_predicts(
    part: tuple[str, ...], home: Path, clarify: Clarify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = clarify("retrain", BIRDS, *part, "--objective", "group_dro", "--rate", "1e-3", *QUICK, "--json")
    assert done.status == 0, done.err
    run, images = done.result["run"], pictures(home)
    told = clarify("predict", BIRDS, *map(str, images), "--model", run, "--json").result["images"]
    labels = [each["label"] for each in told]
    recorded = pl.read_parquet(TrackingStore(home).artifact(run, "predictions.parquet"))
    seen = recorded.filter(pl.col("split") == "test").sort("id")["predicted"].to_list()
    assert sorted(labels) == sorted(seen)
    assert of_onnx(clarify, run, images, tmp_path / "m.onnx") == labels
    assert of_server(home, run, images, monkeypatch) == labels


def of_onnx(clarify: Clarify, run: str, images: list[Path], file: Path) -> list[str]:
    """Return what a model's ONNX file makes of pictures."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    from clarify.data.images import load_image
    from clarify.embed.preprocessing import Preprocessing

    done = clarify("export", BIRDS, "--onnx", str(file), "--model", run, "--json")
    assert done.status == 0, done.err
    assert done.result["onnx"]["apart"] < 1e-4
    session = onnxruntime.InferenceSession(file)
    kept = session.get_modelmeta().custom_metadata_map
    prepared = Preprocessing.from_dict(json.loads(kept["preprocessing"]))
    assert prepared.size == 224
    inputs = np.stack([prepared.cut(load_image(path)).transpose(2, 0, 1) / 255 for path in images])
    (logits,) = session.run(["logits"], {"images": inputs.astype(np.float32)})
    return [json.loads(kept["class_names"])[best] for best in logits.argmax(axis=1)]


def of_server(home: Path, run: str, images: list[Path], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what the registered model, as MLflow's server loads it, makes of pictures."""
    import mlflow
    import pandas as pd

    from clarify.assembly import open_project
    from clarify.config import Settings
    from clarify.workflow.decide.promote import promote

    project = open_project(Settings(home=home, reviewer="Ada"), BIRDS)
    version = promote(project, run).version  # registered whether or not it passes
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    model = mlflow.pyfunc.load_model(project.tracking.client.get_model_version(BIRDS, version).source)
    sent = [base64.b64encode(path.read_bytes()).decode() for path in images]
    found: list[str] = model.predict(pd.DataFrame({"image": sent}))["label"].tolist()
    return found


def test_its_features_are_a_backbone_whose_last_layer_knows_birds(home: Path, clarify: Clarify) -> None:
    parts = ("--backbone", f"timm:{LITE0}", "--encoder", "small-clip")
    assert clarify("embed", BIRDS, *parts).status == 0
    done = clarify("train", BIRDS, *parts, "--json")
    assert done.status == 0, done.err
    assert done.result["validation"]["average_accuracy"] >= 0.7


def test_it_is_evaluated_as_it_is_on_classes_of_imagenet(
    home: Path, clarify: Clarify, tmp_path: Path
) -> None:
    asked = ("train", BIRDS, "--model", f"timm:{LITE0}", "--weights", "pretrained", "--epochs", "0")
    assert "has 1000 classes, the data set 2" in clarify(*asked).refusal
    names = [f"class {number}" for number in range(1000)]
    names[17], names[146] = "landbird", "waterbird"  # jay, albatross
    (tmp_path / "classes.txt").write_text("\n".join(names))
    found = clarify(*asked, "--classes", str(tmp_path / "classes.txt"), "--json").result
    assert found["steps"] == 0
    assert found["validation"]["average_accuracy"] >= 0.7
