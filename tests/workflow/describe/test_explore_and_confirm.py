"""People see and score one part of a class; what is set aside confirms, and alone is judged."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from clarify.discover.halves import ImagesOfClass
from clarify.discover.suggest import suggest
from clarify.errors import InputError
from clarify.method.groups.groups import described_groups
from clarify.workflow.decide.gate import _judged
from clarify.workflow.describe.grouping import explored_of, judged_counts
from clarify.workflow.describe.phrases import TriedPhrase, try_phrase
from clarify.workflow.model.arrays import ArrayData, CallableEncoder, ClassNames, split_of
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.models import Model
from clarify.workflow.retrain.judged import Predicted, gate_evidence

CLASSES = ("landbird", "waterbird")
COUNT = 360


def encode(phrases: Sequence[str]) -> np.ndarray:
    return np.array([[1.0, 0.0] if phrase == "water" else [0.0, 1.0] for phrase in phrases])


PROJECT = ArrayData(
    manifest=ClassNames(name="birds", classes=CLASSES), encoder=CallableEncoder(encode=encode)
)


def failures(wrong: Sequence[int]) -> Failures:
    """Landbirds, then waterbirds, spread from land to water; some are taken for the other class."""
    wet = np.tile(np.linspace(-0.9, 0.9, COUNT), 2)
    labels = np.repeat([0, 1], COUNT)
    seen = np.stack((wet, np.sqrt(1 - wet**2)), axis=1).astype(np.float32)
    predicted = labels.copy()
    predicted[list(wrong)] = 1 - labels[list(wrong)]
    return Failures(
        model=Model(run_id="", name="base", head=None),
        data=split_of("validation", seen, labels),
        predicted=predicted,
    )


WET = range(240, COUNT)
"""The landbirds at the water: 120, all wrong."""


def aside(of: Failures) -> np.ndarray:
    return np.arange(COUNT)[of.aside(np.arange(COUNT))]


def tried(of: Failures) -> TriedPhrase:
    return try_phrase(PROJECT, of, "landbird", "water", n_tried=1)


def turned(of: Failures, rows: np.ndarray) -> Failures:
    """Have the model right on these where it was wrong, and the reverse."""
    predicted = of.predicted.copy()
    predicted[rows] = 1 - predicted[rows]
    return dataclasses.replace(of, predicted=predicted)


def test_a_phrase_is_scored_on_what_people_see_and_confirmed_on_the_rest() -> None:
    whole = failures(WET)
    found, kept_back = tried(whole), aside(whole)
    assert 130 < len(kept_back) < 230
    assert np.array_equal(found.rows, whole.explored(0))
    assert not set(found.rows) & set(kept_back)
    assert found.evidence.score.value == 1.0
    assert found.evidence.score.n_correct + found.evidence.score.n_wrong == COUNT - len(kept_back)
    assert found.evidence.confirmation is not None
    assert found.evidence.confirmation.n_correct + found.evidence.confirmation.n_wrong == len(kept_back)
    assert found.evidence.confirmed

    upside_down = tried(turned(whole, kept_back)).evidence
    assert upside_down.score == found.evidence.score  # what is set aside has no part in it
    assert upside_down.held_out is not None
    assert upside_down.held_out < -0.9
    assert not upside_down.confirmed


def test_a_class_with_few_wrong_images_is_not_divided_and_says_so() -> None:
    few = failures(range(320, COUNT))
    found = tried(few)
    assert not len(aside(few))
    assert len(found.rows) == COUNT
    assert found.evidence.confirmation is None
    assert found.evidence.checked.startswith("Too small a class to set images aside")
    assert found.evidence.to_dict()["cross_fitted"] is True


def test_a_confirm_half_without_wrong_images_divides_nothing() -> None:
    explored = [row for row in range(COUNT) if row not in set(aside(failures(WET)))]
    found = tried(failures(explored[:80]))
    assert found.evidence.confirmation is None
    assert len(found.rows) == COUNT


def test_the_machine_searches_what_people_see_and_confirms_on_the_rest() -> None:
    whole = failures(WET)
    rows = np.arange(COUNT)
    images = ImagesOfClass(embeddings=whole.data.embeddings[rows], right=whole.right[rows])
    found = suggest(
        ["water", "on a body of water", "sky"],
        encode(["water", "water", "sky"]).astype(np.float32),
        images,
        aside=whole.aside(rows),
    ).after(5)
    by_phrase = {each.phrase: each for each in found.items}
    water = tried(whole).evidence
    assert by_phrase["water"].evidence.score == water.score
    assert by_phrase["water"].evidence.held_out == water.held_out == found.held_out
    assert by_phrase["water"].evidence.n_tried == 7  # two groups were confirmed
    assert by_phrase["water"].evidence.confirmed


def test_the_gate_judges_of_a_described_class_what_was_set_aside_and_all_of_others() -> None:
    whole = failures([*WET, *range(COUNT, COUNT + 120)])
    labels = whole.data.labels
    groups = described_groups(labels, CLASSES, {"landbird": [("water", np.arange(2 * COUNT) >= 240)]})
    splits = {"train": whole.data, "validation": whole.data}
    predicted = Predicted(base=whole.predicted, now=labels, control=whole.predicted)
    found = gate_evidence(PROJECT, splits, {"train": groups, "validation": groups}, {"landbird"}, predicted)
    kept_back = aside(whole)
    counts = {each.name: each.count for each in found.groups}
    assert counts == {
        "landbird · with water": (kept_back >= 240).sum(),
        "landbird · without water": (kept_back < 240).sum(),
        "waterbird": COUNT,
    }
    assert found.divided == ("landbird",)
    assert found.validation == len(kept_back) + COUNT
    (with_water,) = (each for each in found.groups if each.name.endswith("with water"))
    assert with_water.base_correct == 0
    assert with_water.now_correct == with_water.count
    explored = explored_of(PROJECT, whole.data, whole.predicted, {"landbird"})
    assert dict(zip(groups.names, judged_counts(groups, explored), strict=True)) == counts


def test_of_a_cut_that_was_moved_every_figure_is_of_this_cut() -> None:
    whole = failures(WET)
    best, rows, kept_back = tried(whole), whole.explored(0), aside(whole)
    moved = best.cut_at(0.0)  # above it lie images 180 to 359, of which the last 120 are wrong
    right, right_aside = rows[rows < 240], kept_back[kept_back < 240]
    assert moved.evidence.score.value == pytest.approx(1 - (right >= 180).mean())
    assert moved.evidence.confirmation is not None
    assert moved.evidence.confirmation.value == pytest.approx(1 - (right_aside >= 180).mean())
    assert moved.evidence.interval[0] <= moved.evidence.score.value <= moved.evidence.interval[1]
    assert moved.evidence.interval[0] > moved.evidence.score.value - 0.15  # nothing was fitted
    assert (moved.description.threshold, moved.description.fixed_cut) == (0.0, True)
    assert (moved.best_score, best.best_score, best.evidence.score.value) == (1.0, 1.0, 1.0)
    told = moved.to_dict()
    assert (told["error_score"], told["best_score"]) == (moved.evidence.score.value, 1.0)
    asked = try_phrase(PROJECT, whole, "landbird", "water", n_tried=1, threshold=0.0)
    assert asked.evidence == moved.evidence
    assert asked.to_dict() == told


def test_a_cut_in_the_other_direction_says_so_and_a_small_class_is_not_fitted() -> None:
    few = failures([*range(10), *range(350, 360)])  # wrong at both ends
    moved = [tried(few).cut_at(cut) for cut in (-0.86, 0.86)]
    assert [each.description.wrong_is_above for each in moved] == [False, True]
    assert [each.evidence.cross_fitted for each in moved] == [each.evidence.score.value for each in moved]
    with pytest.raises(InputError, match="leaves one side empty"):
        tried(few).cut_at(0.9)


def test_a_champion_is_compared_where_no_phrase_was_chosen() -> None:
    whole = failures(WET)
    judged = _judged(whole.data, [0])
    assert np.array_equal(np.flatnonzero(judged[:COUNT]), aside(whole))
    assert judged[COUNT:].all()
    assert _judged(whole.data, []).all()
