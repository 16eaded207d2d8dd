"""Suggestions stand in the order of what retraining with them brings, where it was not chosen."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.discover.suggest import Gain, Suggestion
from clarify.method.fit.head import Head
from clarify.method.phrases.confirm import aside_of
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.evidence import evidence
from clarify.track.runs import DescriptionRun
from clarify.workflow.describe.recording import kept_descriptions
from clarify.workflow.describe.tries import suggested
from clarify.workflow.model.arrays import ArrayData, CallableEncoder, ClassNames, split_of
from clarify.workflow.model.failures import failures_of
from clarify.workflow.model.models import Model, open_model
from clarify.workflow.model.project import Workspace, split_data
from clarify.workflow.retrain.gains import COMPONENTS, brought, gain_of, shortlisted
from clarify.workflow.retrain.heads import fit_base
from clarify.workflow.retrain.preview import Retrained
from tests.conftest import DATA_SET, run_clarify

CUT = Description(
    data_set="birds",
    class_name="landbird",
    phrase="water",
    template="{}",
    encoder="clip",
    calibrations={},
    threshold=0.5,
    wrong_is_above=True,
    author="Ada",
    created_at="2024-05-01T12:00:00+00:00",
)


def flags(*counts: tuple[int, bool]) -> np.ndarray:
    return np.concatenate([np.full(count, value) for count, value in counts])


def test_a_gain_is_of_the_mean_of_the_classes_and_of_the_half_that_is_worse() -> None:
    # Landbirds: 4 at the water, 1 right, then 3; 4 on land, 4 right, then 3. Waterbirds: 2 right, then 1.
    found = Retrained(
        classes=("landbird", "waterbird"),
        data=split_of("validation", np.zeros((10, 2), np.float32), np.repeat([0, 1], [8, 2])),
        cut=CUT,
        having=flags((4, True), (6, False)),
        now=flags((1, True), (3, False), (4, True), (2, True)),
        then=flags((3, True), (1, False), (3, True), (1, False), (1, True), (1, False)),
    )
    gain = gain_of(found)
    assert gain.average == pytest.approx((7 - 7) / 10)
    assert gain.classes == pytest.approx((1 / 8 - 1 / 2) / 2)
    assert (gain.half_before, gain.half_after) == (0.25, 0.75)


def test_what_people_saw_has_no_part_in_a_gain() -> None:
    count = 400
    right = np.arange(count) % 2 == 0
    data = split_of("validation", np.zeros((count, 2), np.float32), np.zeros(count, np.int64))
    base = Retrained(
        classes=("landbird",), data=data, cut=CUT, having=right, now=right, then=np.ones(count, bool)
    )
    aside = aside_of(data.ids, right)
    assert 0 < aside.sum() < count
    told = gain_of(base)
    assert told.classes == pytest.approx(1 - right[aside].mean())
    assert gain_of(dataclasses.replace(base, then=aside)) == told  # the others all wrong: nobody looks


@pytest.mark.parametrize("captions", [{}, {"0": ("a bird",)}])
def test_a_phrase_that_ranks_images_as_the_model_does_is_said_to_copy_it(
    captions: dict[str, tuple[str]],
) -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(300, 2)).astype(np.float32)
    data = dataclasses.replace(split_of("validation", seen, np.arange(300) % 2), captions=captions)
    weights = {"weight": np.array([[3.0, 0.0], [-3.0, 0.0]]), "bias": np.zeros(2)}
    head = Head.from_arrays({**weights, "mean": np.zeros(2), "scale": np.ones(2)}, class_names=("a", "b"))
    failures = failures_of(Model(run_id="", name="base", head=head), data)
    towards = {"same": [1.0, 0.05], "opposite": [-1.0, 0.0], "other": [0.3, 1.0]}
    project = ArrayData(
        manifest=ClassNames(name="two", classes=("a", "b")),
        encoder=CallableEncoder(encode=lambda phrases: [towards[each] for each in phrases]),
    )
    found = shortlisted(project, failures, data, "a", [suggestion(each, None) for each in towards], most=3)
    told = {each.phrase: each.copies for each in found}
    assert told == {"same": True, "opposite": True, "other": False}


def suggestion(phrase: str, gain: float | None, *, copies: bool = False) -> Suggestion:
    known = evidence([0.1, 0.2, 0.3, 0.35], [0.3, 0.6, 0.7], n_tried=1, seed=0)
    brings = None if gain is None else Gain(classes=gain, average=0.0, half_before=0.0, half_after=0.0)
    return Suggestion(phrase=phrase, evidence=known, also=(), opposite=(), gain=brings, copies=copies)


def test_what_brings_most_comes_first_and_copies_of_the_decision_last() -> None:
    items = [
        suggestion("copy", 0.5, copies=True),
        suggestion("unknown", None),
        suggestion("harm", -0.2),
        suggestion("help", 0.1),
    ]
    assert [each.phrase for each in sorted(items, key=lambda each: each.order)] == [
        "help",
        "harm",
        "unknown",
        "copy",
    ]


def test_the_best_by_a_few_components_are_retrained_with_and_what_is_known_is_not_tried_again() -> None:
    # Birds differ in one direction, weakly, and stand before places that differ in another, strongly.
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 300)
    train_place, seen_place = np.where(rng.random((2, 600)) < np.array([[0.95], [0.5]]), labels, 1 - labels)

    def images(place: np.ndarray) -> np.ndarray:
        features = rng.normal(size=(600, 4 * COMPONENTS)).astype(np.float32)
        features[:, 0] += 1.5 * (2 * labels - 1)
        features[:, 1] += 4 * (2 * place - 1)
        return features

    train = split_of("train", images(train_place), labels)
    data = split_of("validation", images(seen_place), labels)
    base = fit_base(train, ("a", "b")).fit.head
    towards = {f"word {k}": np.eye(4 * COMPONENTS)[k] for k in range(1, 7)}
    project = ArrayData(
        manifest=ClassNames(name="two", classes=("a", "b")),
        encoder=CallableEncoder(encode=lambda phrases: [towards[each] for each in phrases]),
    )
    failures = failures_of(Model(run_id="", name="base", head=base), data)
    items = [suggestion(each, None) for each in reversed(towards)]
    known: dict[str, Gain | None] = {}
    found = shortlisted(project, failures, train, "a", items, most=2, known=known)
    assert found[0].phrase == "word 1"  # the place
    assert len(found) == 2
    assert set(known) == set(towards)
    exact = [brought(project, failures, train, "a", each) for each in items]
    assert min(exact, key=lambda each: each.order).phrase == "word 1"
    told = Gain(classes=0.9, average=0.0, half_before=0.0, half_after=0.0)
    known |= {"word 5": told}
    assert shortlisted(project, failures, train, "a", items, most=1, known=known)[0].phrase == "word 5"
    assert shortlisted(project, failures, train, "a", items, most=6) == tuple(items)


@pytest.fixture
def project(home: Path) -> Workspace:
    return open_project(Settings(home=home, reviewer="Ada"), DATA_SET)


WORDS = (
    *("water", "land", "night", "fog", "red", "snow", "beach", "sunset", "small"),
    *("forest", "meadow", "lake", "rain", "blue", "dark", "grass", "sand", "city"),
)
Suggest = Callable[[], dict[str, Any]]


@pytest.fixture
def suggest(home: Path, tmp_path: Path) -> Suggest:
    """Suggest the best five of some words, of which nothing is known yet."""
    shutil.rmtree(home / "mlruns" / "gains")
    mine = tmp_path / "mine.txt"
    mine.write_text("\n".join(WORDS))

    def run() -> dict[str, Any]:
        command = ("suggest", DATA_SET, "waterbird", "--vocabulary", str(mine), "--most", "5", "--json")
        return run_clarify(*command, home=home).result

    return run


def test_suggest_by_the_command_orders_by_gain_and_keeps_what_it_found(home: Path, suggest: Suggest) -> None:
    listed = suggest()
    gains = [each["gain"]["classes"] for each in listed["suggestions"] if not each["copies"]]
    assert len(listed["suggestions"]) == 5
    assert gains == sorted(gains, reverse=True)
    (path,) = (home / "mlruns" / "gains").glob("*.json")
    kept = json.loads(path.read_bytes())
    ((key, of_class),) = kept["gains"].items()
    told = {"classes": 0.25, "average": 0.0, "half_before": 0.0, "half_after": 0.0}
    of_class["gains"] = dict.fromkeys(of_class["gains"], told)  # what is kept is told the second time
    path.write_text(json.dumps({**kept, "gains": {key: of_class}}))
    again = suggest()
    assert {each["gain"]["classes"] for each in again["suggestions"]} == {0.25}
    # What is tried at all is what brings most on a few components, not what scores best.
    last = [phrase for phrase in of_class["roughly"] if phrase not in of_class["gains"]][-1]
    of_class["roughly"][last] = {**told, "classes": 0.9}
    path.write_text(json.dumps({**kept, "gains": {key: of_class}}))
    again = suggest()
    assert last in {each["phrase"] for each in again["suggestions"]}
    for damaged in ({key: {"gains": {"water": 1}}}, {key: 1}):
        path.write_text(json.dumps({**kept, "gains": damaged}))
        assert suggest() == listed
    path.write_bytes(b"{")
    assert suggest() == listed


def test_a_suggestion_stays_marked_when_it_is_kept_and_its_gain_is_recorded(
    home: Path, suggest: Suggest, project: Workspace
) -> None:
    listed = suggest()
    first = listed["suggestions"][0]
    model = open_model(project)
    assert first["phrase"] in suggested(project, model, "waterbird")
    for phrase in (first["phrase"], "green forest"):
        done = run_clarify("describe", DATA_SET, "waterbird", phrase, home=home)
        assert done.status == 0, done.err
    runs = {
        run.phrase: run
        for run in project.tracking.runs(DATA_SET, DescriptionRun)
        if run.class_name == "waterbird"
    }
    assert runs[first["phrase"]].machine
    assert runs[first["phrase"]].gain == pytest.approx(first["gain"]["classes"])
    assert not runs["green forest"].machine
    best = max((run for run in runs.values() if run.kept), key=lambda run: run.gain or -1.0)
    (taken,) = (each for each in kept_descriptions(project, model) if each.class_name == "waterbird")
    assert taken.phrase == best.phrase
    assert failures_of(model, split_data(project, "validation")).right.mean() < 1
