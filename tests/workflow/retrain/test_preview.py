"""A preview of many classes looks at those that the described one is mixed up with, and says so."""

from __future__ import annotations

import numpy as np
import pytest

from clarify.method.phrases.descriptions import Description
from clarify.workflow.model.arrays import ArrayData, CallableEncoder, ClassNames, split_of
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData
from clarify.workflow.retrain.preview import Previewed, preview_of, retrained, who_pays

COUNT, EACH = 12, 20
NAMES = tuple(f"class {k}" for k in range(COUNT))
ENCODER = CallableEncoder(encode=lambda phrases: [[1.0, 0.0] for _ in phrases])


def split(name: str) -> SplitData:
    """Twenty images of each class, every other one of which has what the phrase says."""
    labels = np.repeat(np.arange(COUNT), EACH)
    having = np.arange(len(labels)) % 2 == 0
    looks = np.stack([having, ~having], axis=1).astype(np.float32)
    features = np.eye(COUNT, dtype=np.float32)[labels]  # each class has a feature of its own
    return split_of(name, features, labels, embeddings=looks)


def test_the_classes_it_is_mixed_up_with_most_are_kept_and_counted_alone() -> None:
    # Class 0 is taken for 3 to 10, and 11 is taken for it: it and these nine are the ten that are
    # kept. 1 and 2 are taken for each other, all of them, and have nothing to do with it.
    data = split("validation")
    predicted = data.labels.copy()
    predicted[:8] = np.arange(3, 11)
    predicted[11 * EACH] = 0
    predicted[data.labels == 1], predicted[data.labels == 2] = 2, 1
    model = Model(run_id="m" * 32, name="base", head=None)
    description = Description(
        data_set="many",
        class_name=NAMES[0],
        phrase="water",
        template="{}",
        encoder=ENCODER.identity.digest,
        calibrations={},
        threshold=0.5,
        wrong_is_above=True,
        author="Ada",
        created_at="2024-05-01T12:00:00+00:00",
    )
    project = ArrayData(manifest=ClassNames(name="many", classes=NAMES), encoder=ENCODER)
    failures = Failures(model=model, data=data, predicted=predicted)
    found = retrained(project, failures, description, split("train"))
    having, without, *classes, whole = preview_of(project, found)
    # Class 0 goes from 12 to 20 of 20, class 11 from 19 to 20; the others stay as they are.
    assert [(each.name, round(each.gain, 3)) for each in classes] == [("class 11", 0.05), ("class 0", 0.4)]
    assert who_pays(preview_of(project, found)) == ""
    assert (having.name, without.name) == ("class 0 with it", "without it")
    assert whole.name == "all of the 10 classes it is mixed up with"
    # Wrong of class 0 are images 0 to 7, half of them with it: 6 of 10 and 6 of 10 are right.
    assert (having.now, without.now) == (0.6, 0.6)
    # Of 200 images of ten classes eight of class 0 and one of class 11 are wrong.
    assert whole.now == pytest.approx(191 / 200)
    # Each class has a feature of its own, so a head that is fitted tells them all.
    assert (having.then, without.then, whole.then) == (1.0, 1.0, 1.0)


def row(name: str, now: float, then: float, *, whole: bool = True) -> Previewed:
    return Previewed(name=name, now=now, then=then, cut=0.0, whole=whole)


def test_who_pays_is_said_in_one_sentence_of_whole_classes() -> None:
    half = row("without it", 0.9, 0.5, whole=False)
    assert who_pays([half, row("cat", 0.5, 0.75)]) == ""
    assert who_pays([half, row("cat", 0.75, 0.59)]) == "cat pays 16 points."
    several = [row("cat", 0.75, 0.5), row("dog", 0.5, 0.49), row("cow", 0.5, 0.498)]
    assert who_pays(several) == "cat pays 25 points, dog 1 point and cow 0.2 points."
