"""Where a phrase parts training images: where the concept ends, unless a person says where."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from clarify.method.phrases.best_cut import concept_threshold
from clarify.method.phrases.descriptions import Description
from clarify.workflow.describe.grouping import groups_by_descriptions, in_force
from clarify.workflow.describe.phrases import try_phrase
from clarify.workflow.model.arrays import ArrayData, CallableEncoder, ClassNames, split_of
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData

ENCODER = CallableEncoder(encode=lambda phrases: np.tile([1.0, 0.0], (len(phrases), 1)), name="made up")
PROJECT = ArrayData(manifest=ClassNames(name="birds", classes=("landbird", "waterbird")), encoder=ENCODER)


def images(name: str, wet: list[float], labels: list[int]) -> SplitData:
    """Images whose similarity to any phrase is as given."""
    rows = np.array([[value, (1 - value**2) ** 0.5] for value in wet], dtype=np.float32)
    return split_of(name, rows, np.array(labels))


def described(threshold: float, **more: object) -> Description:
    return Description(
        data_set="birds",
        class_name="landbird",
        phrase="water",
        template="{}",
        encoder=ENCODER.identity.digest,
        calibrations={},
        threshold=threshold,
        wrong_is_above=True,
        author="Ada",
        created_at="2024-05-01T12:00:00+00:00",
        **more,  # type: ignore[arg-type]
    )


# Dry images lie about 0, wet ones about 0.8; of landbirds one is wet.
TRAIN = images("train", [0.0, 0.1, 0.05, 0.8, 0.75, 0.85, 0.8, 0.1], [0, 0, 0, 0, 1, 1, 1, 1])
HELD = images("validation", [0.02, 0.78, 0.1, 0.8], [0, 0, 1, 1])
SPLITS = {"train": TRAIN, "validation": HELD}


def test_a_phrase_parts_where_the_concept_ends_in_all_classes_together() -> None:
    (cut,) = in_force(PROJECT, [described(0.03)], SPLITS)
    assert cut.threshold == pytest.approx((0.1 + 0.75) / 2, abs=1e-3)
    groups = groups_by_descriptions(PROJECT, [cut], SPLITS)
    assert dict(zip(groups["train"].names, groups["train"].counts.tolist(), strict=True)) == {
        "landbird · with water": 1,
        "landbird · without water": 3,
        "waterbird": 4,
    }


def test_a_cut_that_a_person_made_stays() -> None:
    (cut,) = in_force(PROJECT, [described(0.03, fixed_cut=True)], SPLITS)
    assert cut.threshold == 0.03


def test_a_cut_that_would_leave_a_half_of_the_class_empty_is_not_taken() -> None:
    dry = images("validation", [0.02, 0.04, 0.1, 0.8], [0, 0, 1, 1])
    (cut,) = in_force(PROJECT, [described(0.03)], {**SPLITS, "validation": dry})
    assert cut.threshold == 0.03


def test_a_description_that_was_kept_before_keeps_its_cut() -> None:
    told = described(0.03).to_dict()
    assert told.pop("fixed_cut") is False
    assert Description.from_dict(told).fixed_cut
    assert not Description.from_dict(described(0.03).to_dict()).fixed_cut
    assert dataclasses.replace(described(0.03), fixed_cut=True).to_dict()["fixed_cut"] is True


def test_the_concepts_cut_is_where_the_variance_between_both_sides_is_largest() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate((rng.normal(0, 1, 90), rng.normal(6, 1, 10)))
    cut = concept_threshold(scores)

    def between(threshold: float) -> float:
        above = scores > threshold
        share = above.mean()
        return float(share * (1 - share) * (scores[above].mean() - scores[~above].mean()) ** 2)

    ends = np.sort(scores)[:-1]
    assert between(cut) == pytest.approx(max(between(float(end)) for end in ends))
    assert concept_threshold(np.array([1.0, 1.0, 1.0, 2.0])) == 1.5
    assert not (np.ones(3) > concept_threshold(np.ones(3))).any()


def tried(wet: list[float], labels: list[int], wrong: list[int], **more: float) -> Description:
    """Try "water" on landbirds of which some are taken for waterbirds."""
    data = images("validation", wet, labels)
    predicted = np.array(labels)
    predicted[wrong] = 1
    failures = Failures(model=Model(run_id="", name="base", head=None), data=data, predicted=predicted)
    return try_phrase(PROJECT, failures, "landbird", "water", n_tried=1, **more).description


# Landbirds fail where the concept is, and nowhere else.
STEEP = [0.0] * 80 + [0.9] * 80
OF = [0] * 120 + [1] * 40


def test_a_cut_that_explains_errors_it_was_not_found_on_better_than_the_concepts_stays() -> None:
    far = [*([0.0] * 60), *([0.55] * 60), *([0.6] * 80), *([0.0] * 200)]
    labels = [0] * 200 + [1] * 200
    found = tried(far, labels, list(range(120, 200)))
    assert 0.55 < found.threshold < 0.6
    assert found.fixed_cut


def test_where_the_concepts_cut_explains_them_as_well_it_is_taken() -> None:
    found = tried(STEEP, OF, list(range(80, 120)))
    assert not found.fixed_cut


def test_of_few_wrong_images_the_concepts_cut_is_taken() -> None:
    far = [*([0.0] * 60), *([0.55] * 60), *([0.6] * 9), *([0.0] * 200)]
    assert not tried(far, [0] * 129 + [1] * 200, list(range(120, 129))).fixed_cut


def test_a_cut_by_hand_is_told_as_such() -> None:
    assert tried(STEEP, OF, list(range(80, 120)), threshold=0.2).fixed_cut
