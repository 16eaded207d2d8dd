"""Classes page: a rerun at 1,000 classes and 50,000 images is as fast as at 25 classes."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl

from benchmarks.measurement import Measurement

MANY, FEW = 1_000, 25
IMAGES_A_CLASS = 50
DESCRIBED = 300
RERUNS = 15
MOST_S, MOST_RATIO = 0.150, 1.5
MODEL = "synthetic"


def write_classes(home: Path, name: str, classes: int) -> None:
    """Write a manifest of images that do not exist: the page only makes addresses of them."""
    from clarify.data.manifest import write_manifest

    names = [f"class {number:04d}" for number in range(classes)]
    count = classes * IMAGES_A_CLASS
    splits = ("train", "validation")
    table = pl.DataFrame(
        {
            "id": [f"{split}-{row}" for split in splits for row in range(count)],
            "path": [f"{split}/{row}.png" for split in splits for row in range(count)],
            "label": [names[row % classes] for _ in splits for row in range(count)],
            "split": [split for split in splits for _ in range(count)],
        }
    )
    (home / "images").mkdir(exist_ok=True)
    write_manifest(
        home / "data_manifests" / name,
        name=name,
        title=name,
        source="a benchmark",
        licence="none",
        root="../../images",
        classes=names,
        splits=splits,
        attributes={},
        table=table,
    )


def prepare(name: str) -> None:
    """Give a data set's desk a model that is wrong at random, some descriptions, and a promise."""
    from clarify.track.runs import DescriptionRun
    from clarify.ui.server.shared import shared
    from clarify.workflow.model.failures import Failures
    from clarify.workflow.model.models import Model
    from clarify.workflow.model.project import SplitData

    desk = shared().desks.desk(name)
    manifest = desk.project.manifest
    rng = np.random.default_rng(0)
    rows, labels = manifest.row_numbers("validation"), manifest.labels("validation")
    nothing = np.zeros((len(labels), 1), dtype=np.float32)
    data = SplitData(
        name="validation",
        features=nothing,
        embeddings=nothing,
        labels=labels,
        table_rows=rows,
        ids=manifest.ids("validation"),
        root=manifest.root,
        files=np.array([], dtype=np.str_),
        attributes={},
    )
    wrong = rng.random(len(labels)) < 0.25
    predicted = np.where(wrong, rng.integers(len(manifest.classes), size=len(labels)), labels)
    failures = Failures(model=Model(run_id=MODEL + name, name="", head=None), data=data, predicted=predicted)
    runs = [
        DescriptionRun(
            id=str(number),
            name="",
            started=number,
            by=f"reviewer {number % 7}",
            parent=MODEL + name,
            origin=str(number),
            class_name=manifest.classes[number % FEW],
            phrase=f"word {number}",
            score=float(rng.random()),
            kept=True,
        )
        for number in range(DESCRIBED)
    ]
    desk.failures = lambda run=None: failures  # type: ignore[method-assign, assignment, misc]
    desk.runs = lambda of: runs if of is DescriptionRun else []  # type: ignore
    promises = dict(zip(manifest.classes, rng.random(len(manifest.classes)).tolist(), strict=True))
    shared().background.once(("promises", MODEL + name), lambda say: promises).future.result(10)


def reruns_s(names: tuple[str, ...]) -> dict[str, float]:
    """Return the median time of a rerun of each data set's page, taken in turns."""
    from streamlit.testing.v1 import AppTest

    from clarify.ui.server.app import SCRIPT

    pages = {}
    for name in names:
        prepare(name)
        page = AppTest.from_file(str(SCRIPT), default_timeout=120)
        page.session_state["reviewer"] = "Ada"
        page.query_params["data"] = name
        pages[name] = page.run()
        if page.exception or len(page.get("page_link")) < FEW:
            raise RuntimeError(f"the page of {name} was not drawn: {page.exception}")
    took: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(RERUNS):
        for name, page in pages.items():
            start = time.perf_counter()
            page.run()
            took[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in took.items()}


def measure() -> list[Measurement]:
    from clarify.ui.server.shared import shared

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_classes(home, "few", FEW)
        write_classes(home, "many", MANY)
        with mock.patch.dict(os.environ, {"CLARIFY_HOME": folder}):
            shared.cache_clear()
            took = reruns_s(("few", "many"))
            shared.cache_clear()
    ratio = took["many"] / took["few"]
    size = f"{MANY:,} classes x {MANY * IMAGES_A_CLASS:,} images"
    return [
        Measurement(
            name=f"rerun of the Classes page, {size}",
            figure=took["many"],
            unit="s",
            target=MOST_S,
            holds=took["many"] <= MOST_S,
            ratio_to_limit=took["many"] / MOST_S,
        ),
        Measurement(
            name=f"times the rerun at {FEW} classes",
            figure=ratio,
            unit="ratio",
            target=MOST_RATIO,
            holds=ratio <= MOST_RATIO,
            ratio_to_peer=ratio,
        ),
    ]
