"""A network from first training to corrected model, by the commands: a tiny one, a few steps."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import timm
import torch
from safetensors.numpy import load
from safetensors.torch import save_file

from clarify.track.mlflow import TrackingStore
from clarify.track.runs import BaseRun, ModelRun
from tests.conftest import DATA_SET, NETWORK, Done, copied, run_clarify
from tests.warm import Warm

pytestmark = pytest.mark.slow

Clarify = Callable[..., Done]


@pytest.fixture
def home(network_home: Path, tmp_path: Path) -> Path:
    return copied(network_home, tmp_path / "home")


def test_a_network_is_trained_recorded_with_its_body_and_diagnosed(home: Path, clarify: Clarify) -> None:
    run = TrackingStore(home).runs(DATA_SET, BaseRun)[0]
    assert run.settings["model"] == "timm:test_resnet"
    assert run.part == "whole"
    assert run.settings["image_size"] == 32
    assert run.cost["parameters"] > 300_000
    folder = TrackingStore(home).artifact_folder(run.id)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"backbone/encoder.safetensors", "backbone/encoder.json", "head.safetensors"} <= files
    head = load((folder / "head.safetensors").read_bytes())
    assert head["as_they_are"].tolist() == [1.0]
    told = clarify("diagnose", DATA_SET, "--json").result
    assert told["model"] == run.id
    table = pl.read_parquet(folder / "predictions.parquet").filter(pl.col("split") == "validation")
    assert sum(each["right"] for each in told["classes"]) == table["right"].sum()
    assert not (home / "checkpoints").exists() or not any((home / "checkpoints").iterdir())


def test_its_losses_are_in_mlflow_with_steps(home: Path) -> None:
    store = TrackingStore(home)
    run = store.runs(DATA_SET, BaseRun)[0]
    seen = store.client.get_metric_history(run.id, "training/loss/waterbird")
    assert [each.step for each in seen] == [7, 14, 21, 28, 35, 42]
    assert len(store.client.get_metric_history(run.id, "training/average")) == 6


def test_the_same_training_is_not_done_twice(home: Path, clarify: Clarify) -> None:
    before = len(TrackingStore(home).runs(DATA_SET, BaseRun))
    again = clarify("train", DATA_SET, *NETWORK, "--epochs", "6", "--rate", "3e-3")
    assert again.status == 0
    assert "the same training was done before" in again.out
    assert len(TrackingStore(home).runs(DATA_SET, BaseRun)) == before


def test_head_last_layers_and_whole_are_corrected_compared_and_promoted(home: Path, clarify: Clarify) -> None:
    quick = ("--epochs", "2", "--batch-size", "16")
    head = clarify("retrain", DATA_SET, "--json").result
    last = clarify(
        "retrain", DATA_SET, "--last-layers", "2", "--objective", "group_dro", *quick, "--json"
    ).result
    whole = clarify("retrain", DATA_SET, "--whole", "--objective", "reweight", *quick, "--json")
    assert whole.status == 0, whole.err
    parts = [each["part"] for each in (head, last, whole.result)]
    assert parts == ["head", "last-2", "whole"]
    touched = [each["cost"]["parameters"] for each in (head, last, whole.result)]
    assert touched == sorted(touched)
    assert len(set(touched)) == 3
    rows = clarify("compare", DATA_SET, "--json").result["models"]
    assert [row["part"] for row in rows] == ["whole", *parts, *parts]  # each with its control
    assert all(row["cost"]["seconds"] > 0 for row in rows[:4])
    assert whole.result["epoch"] in (1, 2)
    for run in (head["run"], whole.result["run"]):
        done = clarify("promote", DATA_SET, run, "--json")
        assert done.result["run"] == run


def test_a_corrected_network_is_served_as_it_predicts(
    home: Path, clarify: Clarify, monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64

    import mlflow
    import pandas as pd

    from clarify.assembly import open_project
    from clarify.config import Settings
    from clarify.workflow.decide.promote import promote

    whole = clarify(
        "retrain",
        DATA_SET,
        "--whole",
        "--objective",
        "reweight",
        "--epochs",
        "1",
        "--batch-size",
        "16",
        "--json",
    ).result
    project = open_project(Settings(home=home, reviewer="Ada"), DATA_SET)
    version = promote(project, whole["run"]).version  # registered whether or not it passes
    images = sorted((home / "images" / DATA_SET / "test").glob("*.png"))[:20]
    told = clarify("predict", DATA_SET, *map(str, images), "--model", whole["run"], "--json").result
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    place = project.tracking.client.get_model_version(DATA_SET, version).source
    model = mlflow.pyfunc.load_model(place)
    table = pd.DataFrame({"image": [base64.b64encode(p.read_bytes()).decode() for p in images]})
    served = model.predict(table)
    assert served["label"].tolist() == [each["label"] for each in told["images"]]
    recorded = pl.read_parquet(project.tracking.artifact(whole["run"], "predictions.parquet")).filter(
        pl.col("split") == "test"
    )
    ids_of = dict(zip(project.manifest.table["path"], project.manifest.table["id"], strict=True))
    by_id = dict(zip(recorded["id"], recorded["predicted"], strict=True))
    ids = [ids_of[f"test/{path.name}"] for path in images]
    assert served["label"].tolist() == [by_id[each] for each in ids]


def test_it_is_written_as_onnx_that_agrees(home: Path, clarify: Clarify, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    run = TrackingStore(home).runs(DATA_SET, BaseRun)[0].id
    done = clarify("export", DATA_SET, "--onnx", str(tmp_path / "m.onnx"), "--model", run, "--json")
    assert done.result["onnx"]["apart"] < 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    images = sorted((home / "images" / DATA_SET / "test").glob("*.png"))[:5]
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["class_names"]) == ["landbird", "waterbird"]
    from clarify.data.images import load_image
    from clarify.embed.preprocessing import Preprocessing

    pictures = Preprocessing.from_dict(json.loads(told["preprocessing"]))
    inputs = np.stack([pictures.cut(load_image(path)).transpose(2, 0, 1) / 255 for path in images])
    logits, probabilities = session.run(None, {"images": inputs.astype(np.float32)})
    expected = clarify("predict", DATA_SET, *map(str, images), "--model", run, "--json").result
    best = [max(each["landbird"], each["waterbird"]) for each in expected["images"]]
    np.testing.assert_allclose(probabilities.max(axis=1), best, atol=1e-4)
    assert logits.shape == (5, 2)


def test_a_classifier_is_evaluated_as_it_is_with_its_classes_picked_out(
    home: Path, clarify: Clarify, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module = timm.create_model("test_vit", num_classes=4, img_size=32)
    state = {name: each.contiguous() for name, each in module.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    (tmp_path / "classes.txt").write_text("plane\nwaterbird\ncar\nlandbird\n")
    asked = (
        "train",
        DATA_SET,
        "--model",
        "timm:test_vit",
        "--image-size",
        "32",
        "--epochs",
        "0",
        "--weights",
        str(tmp_path / "w.safetensors"),
    )
    assert "has 4 classes, the data set 2" in clarify(*asked).refusal
    found = clarify(*asked, "--classes", str(tmp_path / "classes.txt"), "--json").result
    assert found["steps"] == 0
    assert 0 < found["validation"]["average_accuracy"] < 1


def killed(home: Path, command: list[str], after_s: float) -> bool:
    """Run a command, kill it after so long, and return whether it was still at work."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = Warm("-m", "clarify.cli", *command, "--home", str(home), **quiet)
    place = home / "checkpoints"
    last = time.monotonic() + 120
    while not list(place.glob("*/checkpoint.safetensors")) and time.monotonic() < last:
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    time.sleep(after_s)
    if process.poll() is not None:
        return False
    process.send_signal(signal.SIGKILL)
    process.wait()
    return True


@pytest.mark.slow
def test_a_training_that_was_killed_goes_on_to_the_same_weights(home: Path, tmp_path: Path) -> None:
    command = [
        "train",
        DATA_SET,
        "--model",
        "timm:test_resnet",
        "--image-size",
        "64",
        "--epochs",
        "6",
        "--seed",
        "5",
        "--json",
    ]
    other = tmp_path / "other"
    shutil.copytree(home, other)
    assert run_clarify("relocate", home=other).status == 0
    assert killed(home, command, 0.3)
    killed(home, command, 0.5)
    done, whole = (run_clarify(*command, home=place).result for place in (home, other))
    assert done["validation"] == whole["validation"]
    bodies = [
        TrackingStore(place).artifact(found["run"], "backbone/encoder.safetensors")
        for place, found in ((home, done), (other, whole))
    ]
    assert bodies[0] == bodies[1]


@pytest.mark.slow
def test_torchrun_trains_by_the_same_command_and_records_once(home: Path) -> None:
    before = len(TrackingStore(home).runs(DATA_SET, BaseRun))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node=2",
            "-m",
            "clarify.cli",
            "train",
            DATA_SET,
            "--model",
            "timm:test_vit",
            "--image-size",
            "32",
            "--epochs",
            "2",
            "--json",
            "--home",
            str(home),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["model"] == "timm:test_vit"
    runs = TrackingStore(home).runs(DATA_SET, BaseRun)
    assert len(runs) == before + 1
    assert runs[0].id == found["run"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("train", DATA_SET, "--model", "resnet18"), "legal is timm:MODEL"),
        (("train", DATA_SET, "--model", "timm:resnet81"), "nearest: "),
        (("train", DATA_SET, *NETWORK, "--epochs", "-1"), "epochs is -1; legal is 0 to 1000"),
        (("train", DATA_SET, *NETWORK, "--rate", "nan"), "rate is nan"),
        (("train", DATA_SET, *NETWORK, "--classes", "none.txt"), "none.txt cannot be read"),
        (("train", DATA_SET, "--epochs", "3"), "--epochs is about networks"),
        (("retrain", DATA_SET, "--epochs", "3"), "--epochs is about networks"),
        (("retrain", DATA_SET, "--whole", "--batch-size", "3"), "cannot hold the 4 groups"),
        (("retrain", DATA_SET, "--last-layers", "99"), "layers, 99 of them were asked for"),
        (("retrain", DATA_SET, "--last-layers", "0"), "part 'last-0' is unknown; nearest: last-N"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(
    clarify: Clarify, home: Path, command: tuple[str, ...], message: str
) -> None:
    before = len(TrackingStore(home).runs(DATA_SET, BaseRun))
    assert message in clarify(*command).refusal
    assert len(TrackingStore(home).runs(DATA_SET, BaseRun)) == before


def test_a_head_on_foreign_features_cannot_be_trained_as_a_network(clarify: Clarify, home: Path) -> None:
    base = next(
        run
        for run in TrackingStore(home).runs(DATA_SET, BaseRun)
        if run.objective == "erm" and "model" not in run.settings
    )
    done = clarify("retrain", DATA_SET, "--whole", "--model", base.id)
    assert "there is no network to train on" in done.refusal


def test_a_manifest_without_a_split_is_refused(clarify: Clarify, home: Path) -> None:
    toml = home / "data_manifests" / DATA_SET / "manifest.toml"
    toml.write_text(toml.read_text().replace('"validation", ', ""))
    done = clarify("train", DATA_SET, *NETWORK, "--epochs", "1")
    assert "'validation'" in done.refusal


def test_a_body_trained_here_cannot_be_left_out_of_what_is_served(clarify: Clarify, home: Path) -> None:
    run = clarify("retrain", DATA_SET, "--json").result["run"]
    done = clarify("promote", DATA_SET, run, "--encoder-by-hash")
    assert "its network was trained here" in done.refusal
    assert "promote without --encoder-by-hash" in done.refusal


def test_features_of_a_body_trained_here_are_made_again(clarify: Clarify, home: Path) -> None:
    before = clarify("diagnose", DATA_SET, "--json").result
    shutil.rmtree(home / "features")
    assert "clarify embed" in clarify("diagnose", DATA_SET).refusal
    found = clarify("embed", DATA_SET, "--json").result["features"]
    assert len(found) == 2
    assert clarify("diagnose", DATA_SET, "--json").result == before


@pytest.mark.slow
def test_a_network_goes_in_a_bundle_and_predicts_as_before(
    clarify: Clarify, home: Path, tmp_path: Path
) -> None:
    assert clarify("retrain", DATA_SET).status == 0
    assert clarify("export", DATA_SET, "--bundle", str(tmp_path / "b.tar")).status == 0
    other = tmp_path / "other"
    assert run_clarify("import", str(tmp_path / "b.tar"), home=other).status == 0
    images = sorted((home / "images" / DATA_SET / "test").glob("*.png"))[:10]
    here, there = (
        run_clarify(
            "predict",
            DATA_SET,
            *map(str, images),
            "--json",
            "--model",
            TrackingStore(place).runs(DATA_SET, ModelRun)[0].id,
            home=place,
        )
        for place in (home, other)
    )
    assert here.result["images"] == there.result["images"]


def test_a_correction_whose_base_was_deleted_says_so(clarify: Clarify, home: Path) -> None:
    store = TrackingStore(home)
    run = clarify("retrain", DATA_SET, "--json").result["run"]
    base = next(each for each in store.runs(DATA_SET, BaseRun) if "model" in each.settings)
    folder = store.artifact_folder(base.id)
    store.client.delete_run(base.id)
    shutil.rmtree(folder)
    assert "the network's body is not in" in clarify("promote", DATA_SET, run).refusal
