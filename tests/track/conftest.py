"""A migrated store made once, and copied and relocated for each test: making one takes seconds."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clarify.method.fit.head import Head
from clarify.method.groups.groups import AnnotatedGroups, annotated_groups
from clarify.method.groups.metrics import Accuracy, Evaluation, evaluate
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.evidence import evidence
from clarify.track.mlflow import TrackingStore
from clarify.track.record import DatasetRef, RunContext, RunRecord
from clarify.track.records import description_record, model_record

CLASSES = ("landbird", "waterbird")
WIDTH = 6


def labels() -> np.ndarray:
    return np.repeat([0, 1], 40)


def places() -> np.ndarray:
    return np.array(["land"] * 30 + ["water"] * 10 + ["land"] * 20 + ["water"] * 20)


def predictions() -> np.ndarray:
    """Wrong: 2 and 6 of landbird on land, on water; 10 and 0 of waterbird."""
    said = labels()
    said[28:30], said[34:40], said[50:60] = 1, 1, 0
    return said


def groups() -> AnnotatedGroups:
    return annotated_groups(labels(), CLASSES, places(), "place")


def evaluation() -> Evaluation:
    return evaluate(predictions(), labels(), CLASSES, groups=groups(), train_counts=[70, 4, 6, 20])


def head(seed: int = 0) -> Head:
    rng = np.random.default_rng(seed)
    return Head(
        weight=rng.normal(size=(2, WIDTH)),
        bias=rng.normal(size=2),
        mean=rng.normal(size=WIDTH) / 10,
        scale=rng.uniform(0.5, 2, size=WIDTH),
        class_names=CLASSES,
    )


def context(reviewer: str = "Ada") -> RunContext:
    table = pl.DataFrame({"id": ["a", "b"], "label": list(CLASSES)})
    return RunContext(
        dataset=DatasetRef(name="birds", digest="d" * 64, source="/somewhere/birds", table=table),
        encoder={"schema_version": 1, "architecture": "tiny"},
        encoder_digest="e" * 12,
        backbone={"schema_version": 1, "architecture": "tiny"},
        backbone_digest="b" * 12,
        reviewer=reviewer,
        code_version="0.1.0",
    )


def description(phrase: str = "water") -> Description:
    return Description(
        data_set="birds",
        class_name="landbird",
        phrase=phrase,
        template="an image of a {}",
        encoder="e" * 12,
        calibrations={},
        threshold=0.25,
        wrong_is_above=True,
        author="Ada",
        created_at="2024-05-01T12:00:00+00:00",
    )


def model(
    kind: str = "base",
    *,
    parent: str = "",
    name: str = "base (erm)",
    base_described: Mapping[str, Evaluation] | None = None,
) -> RunRecord:
    retrained = kind == "retraining"
    found = evaluation()
    return model_record(
        context(),
        kind,  # type: ignore[arg-type]
        name=name,
        head=head(),
        params={"objective": "erm", "weight_decay": 0.01},
        evaluations={"validation": found, "test": found},
        described={"validation": found, "test": found} if retrained else {},
        selection=[(0.1, 0.5), (0.01, 0.75)],
        predictions=pl.DataFrame({"id": ["a"], "right": [True]}),
        descriptions=(description(),) if retrained else (),
        groups={"landbird": 40, "waterbird": 40},
        gate={"halves": []} if retrained else None,
        parent=parent,
        oracle=False,
        base_described=base_described,
    )


def phrase_tried(phrase: str = "water", *, kept: bool = True, parent: str = "p") -> RunRecord:
    similarity = np.linspace(0.1, 0.4, 40)
    right = similarity < 0.3
    return description_record(
        context(),
        description=description(phrase),
        evidence=evidence(similarity[right], similarity[~right], n_tried=1, seed=0, resamples=100),
        with_phrase=Accuracy(count=20, correct=5),
        without_phrase=Accuracy(count=20, correct=20),
        unknown_words=(),
        caution="",
        similarities=pl.DataFrame(
            {
                "id": [f"i{k}" for k in range(40)],
                "similarity": similarity,
                "right": right,
                "with_phrase": similarity > 0.25,
            }
        ),
        parent=parent,
        kept=kept,
        gain=0.05,
        best_score=0.9,
        machine=True,
    )


def filled_home(home: Path) -> None:
    store = TrackingStore(home)
    base = store.log(model())
    store.log(phrase_tried(parent=base))
    store.log(model("retraining", parent=base, name="worst_group (landbird: water)"))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose store holds a base model, a description and a retraining."""
    home = tmp_path_factory.mktemp("template") / "home"
    filled_home(home)
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    """A copy of it, adopted where it now lies."""
    copy = tmp_path / "home"
    shutil.copytree(template, copy)
    assert TrackingStore(copy).relocate() > 0
    return copy


@pytest.fixture
def store(home: Path) -> TrackingStore:
    return TrackingStore(home)
