"""A model on a bridge stands on the bridge's network, and takes it along: it is served with no hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import DATA_SET, run_clarify
from tests.real import PHOTOGRAPHS, needs_photographs, needs_weights
from tests.track.test_served import agree, post, serving, text

pytestmark = [pytest.mark.slow, needs_weights, needs_photographs]


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of real photographs with a registered model, made by commands that name no encoder."""
    home = tmp_path_factory.mktemp("photographs") / "home"
    home.mkdir()

    def done(*step: str) -> dict[str, Any]:
        found = run_clarify(*step, "--json", home=home)
        assert found.out, found.err
        return found.result

    done("data", "import", "table", str(PHOTOGRAPHS / "images.csv"), "--name", DATA_SET)
    done("embed", DATA_SET)
    done("train", DATA_SET)
    worst = done("diagnose", DATA_SET)["classes"][0]["class"]
    done("describe", DATA_SET, worst, "sea")
    done("retrain", DATA_SET)
    assert done("promote", DATA_SET)["version"] == "1"  # whatever the gate says of so few images
    return home


def test_the_registered_model_holds_the_network_and_no_text_model(registered: Path) -> None:
    (model,) = (registered / "mlruns" / "artifacts").rglob("model-1")
    (encoder,) = model.rglob("encoder.json")
    described = json.loads(encoder.read_text())
    assert described["kind"] == "timm"
    assert described["name"] == "timm:tf_efficientnet_lite0"
    assert (encoder.parent / "encoder.safetensors").stat().st_size > 10e6
    assert not [path for path in model.rglob("*") if "bridge.safetensors" in path.name]


def test_a_real_server_answers_photographs_as_the_command_does(registered: Path) -> None:
    chosen = sorted(PHOTOGRAPHS.glob("*.jpg"))[::24]
    run = json.loads(run_clarify("compare", DATA_SET, "--json", home=registered).out)["models"][-1]["run"]
    with serving(registered, f"models:/{DATA_SET}/1") as address:
        body = {"dataframe_records": [{"image": text(path.read_bytes())} for path in chosen]}
        status, answer = post(address, body)
    assert status == 200
    done = run_clarify("predict", DATA_SET, *map(str, chosen), "--model", run, "--json", home=registered)
    agree(pd.DataFrame(answer["predictions"]), pd.DataFrame(done.result["images"]).drop(columns="path"))
