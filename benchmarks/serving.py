"""A served model: 95th percentile of one image's latency against the encoder's bare forward.

The encoder is a ViT-B/32 with random weights, the image a 500 x 375 JPEG in base64. The forward,
the loaded model and `mlflow models serve` take turns, so that a change of the machine's load meets
all three. What is allowed is 1.3 times the forward's median plus 20 ms for everything else:
decoding, preparing, MLflow's tables, and HTTP.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.embedding import pictures, random_vit
from benchmarks.measurement import Measurement

if TYPE_CHECKING:
    from clarify.embed.encoders import ImageEncoder

FACTOR, MORE_MS = 1.3, 20.0
FIRST = 5
"""Calls that set up what all later ones use."""


def measure(rounds: int = 60) -> list[Measurement]:
    """Return latencies in milliseconds."""
    import mlflow
    import pandas as pd
    import torch

    from clarify.data.images import load_image
    from clarify.track.backend import quieten

    quieten()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder = random_vit(folder)
        manifest = pictures(folder / "jpeg", 8, (500, 375), "jpg")
        path = manifest.root / manifest.table["path"][0]
        batch = torch.stack([encoder.preprocess(load_image(path))])
        text = base64.b64encode(path.read_bytes()).decode()
        served = written(folder, encoder)
        model = mlflow.pyfunc.load_model(str(served))
        with serving(served) as port:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            times = in_turns(
                {
                    "forward": lambda: encoder.encode_images(batch),
                    "model": lambda: model.predict(pd.DataFrame({"image": [text]})),
                    "http": functools.partial(post, connection, text),
                },
                rounds,
            )
    bare = float(np.median(times["forward"]))
    return [
        Measurement(name="served model: bare forward of one image, median", figure=bare, unit="ms"),
        Measurement(
            name="served model: bare forward of one image, p95",  # how quiet the machine was
            figure=float(np.percentile(times["forward"], 95)),
            unit="ms",
        ),
        *(
            compared(f"served model: one image {how}, p95", times[key], bare)
            for key, how in (("model", "in Python"), ("http", "over HTTP"))
        ),
    ]


def compared(name: str, times: list[float], bare: float) -> Measurement:
    figure, target = float(np.percentile(times, 95)), FACTOR * bare + MORE_MS
    return Measurement(
        name=name,
        figure=figure,
        unit="ms",
        target=target,
        holds=figure <= target,
        ratio_to_limit=figure / bare,
    )


def in_turns(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(FIRST + rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if number >= FIRST:
                times[name].append(1000 * (time.perf_counter() - began))
    return times


def written(folder: Path, encoder: ImageEncoder) -> Path:
    """Write the model as the registry has it."""
    from clarify.embed.packing import pack
    from clarify.method.fit.head import Head
    from clarify.track.model_folder import ModelEncoder, write_model
    from clarify.track.verdict import Verdict

    width, identity = encoder.width, encoder.identity.to_dict()
    rng = np.random.default_rng(0)
    head = Head(
        weight=rng.normal(size=(2, width)),
        bias=np.zeros(2),
        mean=np.zeros(width),
        scale=np.ones(width),
        class_names=("a", "b"),
    )
    place = folder / "model"
    place.mkdir()
    return write_model(
        place,
        head=head,
        name="random",
        identity=identity,
        verdict=Verdict(reasons=()),
        encoder=ModelEncoder(spec=encoder.name, identity=identity, pack=functools.partial(pack, encoder)),
    )


@contextlib.contextmanager
def serving(model: Path) -> Iterator[int]:
    """Serve a model's folder; yields the port that answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # MLflow starts uvicorn by name
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            str(model),
            "--env-manager",
            "local",
            "--port",
            str(port),
        ],
        env=os.environ | {"PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.2)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def post(connection: http.client.HTTPConnection, text: str) -> None:
    body = json.dumps({"dataframe_records": [{"image": text}]})
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"the server answers {answer.status}: {content[:200]!r}")


if __name__ == "__main__":
    for measured in measure():
        print(measured)
