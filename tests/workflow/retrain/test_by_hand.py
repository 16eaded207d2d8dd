"""A retraining whose every figure can be worked out by hand: one feature, which is 1 or -1.

A head can only say one class of the images at 1, and one of those at -1.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from clarify.method.decisions.paired import Paired
from clarify.method.fit.head import Head
from clarify.method.phrases.descriptions import Description
from clarify.track.gate_evidence import GateEvidence
from clarify.track.record import RunRecord
from clarify.workflow.describe.grouping import THIN
from clarify.workflow.model import trained
from clarify.workflow.model.arrays import CallableEncoder, ClassNames, split_of
from clarify.workflow.model.evaluating import evaluations_of, half_results
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.model.trained import Cost, Trained, recorded
from clarify.workflow.retrain import engine
from clarify.workflow.retrain.retrain import retrain
from tests.track.conftest import context

CLASSES = ("a", "b")
ENCODER = CallableEncoder(encode=lambda phrases: [[1.0, 0.0] for _ in phrases])
Row = tuple[str, bool, int]
"""Class, whether it has what the phrase says, and where it is."""

BOTH = (True, False)
EVERYWHERE_B = Head.of_layer([[0.0], [0.0]], [0.0, 1.0], CLASSES)


class Store:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[RunRecord] = []

    def delivered(self, delivery: str) -> None:
        return None

    def adopt(self, record: RunRecord, *, delivery: str, at: int) -> str:
        self.records.append(record)
        return "r" * 32

    def gate(self) -> dict[str, Any]:
        (record,) = self.records
        (file,) = [each for each in record.artifacts if each.path == "gate.json"]
        found: dict[str, Any] = json.loads(file.content)
        return found


def images(name: str, counts: Mapping[Row, int]) -> SplitData:
    rows = [row for row, count in counts.items() for _ in range(count)]
    return split_of(
        name,
        np.array([[at] for _, _, at in rows], dtype=np.float32),
        np.array([CLASSES.index(label) for label, _, _ in rows]),
        embeddings=np.array([[having, not having] for _, having, _ in rows], dtype=np.float32),
    )


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def project(store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(trained, "run_context", lambda *_: context())
    return SimpleNamespace(
        manifest=ClassNames(name="birds", classes=CLASSES), encoder=ENCODER, reviewer="Ada", tracking=store
    )


def phrase(class_name: str = "a") -> Description:
    return Description(
        data_set="birds",
        class_name=class_name,
        phrase="water",
        template="{}",
        encoder=ENCODER.identity.digest,
        calibrations={},
        threshold=0.5,
        wrong_is_above=True,
        author="Ada",
        created_at="2024-05-01T12:00:00+00:00",
    )


def base() -> Model:
    return Model(run_id="b" * 32, name="base", head=EVERYWHERE_B, backbone=object())  # type: ignore[arg-type]


def gate_of(
    project: Any,
    monkeypatch: pytest.MonkeyPatch,
    recipe: Recipe,
    descriptions: Sequence[Description],
    splits: Sequence[SplitData],
) -> dict[str, Any]:
    monkeypatch.setattr(engine, "all_splits", lambda *_: {data.name: data for data in splits})
    assert retrain(project, base(), descriptions, recipe=recipe) is not None
    found: dict[str, Any] = project.tracking.gate()
    return found


def right(gate: Mapping[str, Any], of: str) -> list[int]:
    return [half[f"{of}_correct"] for half in gate["halves"]]


def test_the_gate_is_told_of_base_correction_and_control_by_described_groups(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Weight at -1 and at 1, all groups alike: a 1/3 + 0 and 0 + 1/3, b 1/6 and 1/6: a everywhere.
    # All classes alike: a 0.05 and 0.45, b 0.25 and 0.25: b at -1 and a at 1.
    train = {("a", True, -1): 20, ("a", False, 1): 180, ("b", False, -1): 50, ("b", False, 1): 50}
    held = {("a", True, -1): 12, ("a", False, 1): 40, ("b", False, -1): 10, ("b", False, 1): 20}
    splits = [images("train", train), images("validation", held)]
    gate = gate_of(project, monkeypatch, Recipe(), [phrase()], splits)
    assert [half["name"] for half in gate["halves"]] == ["a · with water", "a · without water", "b"]
    assert [half["label"] for half in gate["halves"]] == [0, 0, 1]
    assert [half["count"] for half in gate["halves"]] == [12, 40, 30]
    assert right(gate, "base") == [0, 0, 30]
    assert right(gate, "now") == [12, 40, 0]
    assert right(gate, "control") == [0, 40, 10]
    assert gate["base_average"] == pytest.approx(30 / 82)
    assert gate["now_average"] == pytest.approx(52 / 82)
    seen = GateEvidence.from_dict(gate["evidence"])
    assert [(each.name, each.class_name, each.described) for each in seen.groups] == [
        ("a · with water", "a", True),
        ("a · without water", "a", True),
        ("b", "b", False),
    ]
    assert [each.over_base for each in seen.groups] == [
        Paired(count=12, better=12, worse=0),
        Paired(count=40, better=40, worse=0),
        Paired(count=30, better=0, worse=30),
    ]
    assert [each.over_control for each in seen.groups] == [
        Paired(count=12, better=12, worse=0),
        Paired(count=40, better=0, worse=0),
        Paired(count=30, better=0, worse=10),
    ]
    assert (seen.validation, seen.train) == (82, 0)  # nobody knows how the base was fitted


# Every image alike: a at -1 (60 to 50) and at 1 (140 to 10). The classes alike: b at -1 (.83 to .30), a at 1.
# The halves of b alike, each as much as all of a: b at -1 (1 to .30) and at 1 (1 to .70).
CROSSED = {("a", True, -1): 60, ("a", True, 1): 140, ("b", False, -1): 50, ("b", True, 1): 10}


def test_training_images_are_judged_by_base_correction_and_control_of_their_own(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = [images("train", CROSSED), images("validation", dict.fromkeys(CROSSED, 5))]
    model = dataclasses.replace(base(), weight_decay=0.001)
    monkeypatch.setattr(engine, "all_splits", lambda *_: {data.name: data for data in splits})
    assert retrain(project, model, [phrase("b")], recipe=Recipe()) is not None
    seen = GateEvidence.from_dict(project.tracking.gate()["evidence"])
    assert (seen.validation, seen.train) == (20, 260)
    # Of validation the base says b everywhere; of training images a base fitted anew says a everywhere.
    assert [
        (each.name, each.base_correct, each.now_correct, each.control_correct) for each in seen.groups
    ] == [
        ("a", 200 + 0, 0, 140 + 5),
        ("b · with water", 0 + 5, 10 + 5, 0),
        ("b · without water", 0 + 5, 50 + 5, 50 + 5),
    ]


@pytest.mark.parametrize(("refit", "right_in_training", "right_held_out"), [(False, 5, 0), (True, 0, 20)])
def test_after_a_refit_training_images_are_judged_by_heads_that_saw_validation(
    project: Any, monkeypatch: pytest.MonkeyPatch, refit: bool, right_in_training: int, right_held_out: int
) -> None:
    # Training says a at 1, validation a at -1: each half of it outweighs training two to one.
    here = {(label, having, at): 5 for label, at in (("a", 1), ("b", -1)) for having in BOTH}
    there = {(label, having, -at): 4 * count for (label, having, at), count in here.items()}
    splits = [images("train", here), images("validation", there)]
    model = dataclasses.replace(base(), weight_decay=0.001)
    monkeypatch.setattr(engine, "all_splits", lambda *_: {data.name: data for data in splits})
    assert retrain(project, model, [phrase("a"), phrase("b")], recipe=Recipe(refit=refit)) is not None
    seen = GateEvidence.from_dict(project.tracking.gate()["evidence"])
    expected = right_in_training + right_held_out
    assert [each.count for each in seen.groups] == [25] * 4
    assert [each.now_correct for each in seen.groups] == [expected] * 4
    assert [each.control_correct for each in seen.groups] == [expected] * 4


def test_validation_with_enough_of_every_half_needs_no_training_images(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for held, judged in ((THIN, 0), (THIN - 1, 260)):
        project.tracking.records.clear()
        splits = [images("train", CROSSED), images("validation", dict.fromkeys(CROSSED, held))]
        model = dataclasses.replace(base(), weight_decay=0.001)
        monkeypatch.setattr(
            engine, "all_splits", lambda *_, splits=splits: {data.name: data for data in splits}
        )
        assert retrain(project, model, [phrase("b")], recipe=Recipe()) is not None
        assert GateEvidence.from_dict(project.tracking.gate()["evidence"]).train == judged


@pytest.mark.parametrize(("refit", "judged"), [(False, 0), (True, 251)])
def test_training_images_do_not_judge_where_a_part_has_a_single_one_unless_a_refit_adds_more(
    project: Any, monkeypatch: pytest.MonkeyPatch, refit: bool, judged: int
) -> None:
    train = {**CROSSED, ("b", True, 1): 1}
    splits = [images("train", train), images("validation", dict.fromkeys(CROSSED, 5))]
    model = dataclasses.replace(base(), weight_decay=0.001)
    monkeypatch.setattr(engine, "all_splits", lambda *_: {data.name: data for data in splits})
    assert retrain(project, model, [phrase("b")], recipe=Recipe(refit=refit)) is not None
    assert GateEvidence.from_dict(project.tracking.gate()["evidence"]).train == judged


@pytest.mark.parametrize("unknown", [{"is_network": True}, {"weight_decay": None}])
def test_training_images_do_not_judge_a_base_that_cannot_be_fitted_anew(
    project: Any, monkeypatch: pytest.MonkeyPatch, unknown: dict[str, Any]
) -> None:
    splits = [images("train", CROSSED), images("validation", dict.fromkeys(CROSSED, 5))]
    model = dataclasses.replace(base(), **{"weight_decay": 0.001, **unknown})
    monkeypatch.setattr(engine, "all_splits", lambda *_: {data.name: data for data in splits})
    assert retrain(project, model, [phrase("b")], recipe=Recipe()) is not None
    assert GateEvidence.from_dict(project.tracking.gate()["evidence"]).train == 0


@pytest.mark.parametrize(("refit", "expected"), [(False, 0), (True, 80)])
def test_of_a_refitted_correction_the_control_is_refitted_too(
    project: Any, monkeypatch: pytest.MonkeyPatch, refit: bool, expected: int
) -> None:
    # Training says a at 1, validation a at -1: each half of it outweighs training two to one.
    here = {(label, having, at): 20 for label, at in (("a", 1), ("b", -1)) for having in BOTH}
    there = {(label, having, -at): 4 * count for (label, having, at), count in here.items()}
    splits = [images("train", here), images("validation", there)]
    gate = gate_of(project, monkeypatch, Recipe(refit=refit), [phrase("a"), phrase("b")], splits)
    assert right(gate, "now") == [expected] * 4
    assert right(gate, "control") == [expected] * 4
    assert right(gate, "base") == [0, 0, 80, 80]


def test_the_average_after_a_refit_is_of_heads_that_did_not_see_the_image(project: Any, store: Store) -> None:
    # Four of a, four of b. The head says b of all: 4 of 8. The heads that had not seen the image
    # say a of the first three and b of the last two: 3 + 2 of 8.
    data = images("validation", {("a", False, 1): 4, ("b", False, 1): 4})
    held_out = np.array([[0.9, 0.1]] * 3 + [[0.2, 0.8]] + [[0.6, 0.4]] * 2 + [[0.1, 0.9]] * 2)
    found = Trained(
        model=base(),
        settings={"objective": "reweight"},
        rule="described_worst_group",
        table=(),
        evaluations={},
        group_counts={},
        cost=Cost(seconds=0.0, peak_memory_mib=0.0, parameters=2),
        held_out=held_out,
    )
    recorded(
        project,
        {"validation": data},
        found,
        descriptions=(phrase(),),
        base=base(),
        described={},
        base_described={},
        beside={},
        delivery="d",
    )
    assert store.gate()["now_average"] == 5 / 8


def test_held_out_probabilities_count_for_validation_alone(project: Any) -> None:
    # The head says b of all: 2 of 5 and 4 of 5. The held-out ones say a of the first four: 3 + 1 of 5.
    splits = {
        "train": images("train", {("a", False, 1): 1, ("b", False, 1): 1}),
        "validation": images("validation", {("a", False, 1): 3, ("b", False, 1): 2}),
        "test": images("test", {("a", False, 1): 1, ("b", False, 1): 4}),
    }
    held_out = np.array([[0.9, 0.1]] * 4 + [[0.2, 0.8]])
    found = evaluations_of(project, splits, base(), held_out)
    assert {name: each.average for name, each in found.items()} == {"validation": 4 / 5, "test": 4 / 5}
    by_class = {name: each.per_class["a"].correct for name, each in found.items()}
    assert by_class == {"validation": 3, "test": 0}
    assert evaluations_of(project, splits, base())["validation"].average == 2 / 5


def test_each_model_is_counted_in_each_group_under_its_own_name() -> None:
    data = images("validation", {("a", True, 1): 2, ("a", False, 1): 2, ("b", False, 1): 2})
    groups = SimpleNamespace(index=np.array([0, 0, 1, 1, 2, 2]), names=("a with", "a without", "b", "none"))
    said = {
        "base": np.array([0, 0, 1, 1, 0, 1]),
        "now": np.array([0, 1, 0, 0, 0, 0]),
        "control": np.array([1, 1, 0, 1, 1, 1]),
    }
    found = half_results(said, data, groups)  # type: ignore[arg-type]
    counted = [(each.base.correct, each.now.correct, each.control.correct) for each in found]
    assert counted == [(2, 1, 0), (0, 2, 1), (1, 0, 2), (0, 0, 0)]
    assert [each.label for each in found] == [0, 0, 1, -1]
