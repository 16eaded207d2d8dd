"""Descriptions: what they hold, how they cut, and how they are written and read."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from clarify.errors import FeatureError, InputError, PhraseError
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.phrases import Calibration

PLAIN = {
    "data_set": "waterbirds",
    "class_name": "landbird",
    "phrase": "water",
    "template": "an image of a {}",
    "encoder": "0123456789ab",
    "calibrations": {},
    "threshold": 0.25,
    "wrong_is_above": True,
    "author": "Ada",
    "created_at": "2024-05-01T12:00:00+00:00",
}
UNIT = Calibration(threshold=0.0, scale=0.5)


def made(**changes: object) -> Description:
    return Description(**{**PLAIN, **changes})


@pytest.mark.parametrize("wrong_is_above", [True, False])
def test_with_is_above_the_threshold_wherever_the_errors_are(wrong_is_above: bool) -> None:
    assert made(wrong_is_above=wrong_is_above).with_half([0.2, 0.25, 0.3]).tolist() == [False, False, True]


def test_single_precision_scores_are_not_rounded_onto_the_other_side() -> None:
    low = np.float32(0.1)
    threshold = float(low) + 1e-10  # rounds to `low` in single precision
    assert not made(threshold=threshold).with_half(np.array([low])).any()
    assert made(threshold=float(low) - 1e-10).with_half(np.array([low])).all()


def test_a_compound_description_scores_with_its_own_calibrations() -> None:
    description = made(phrase="a AND NOT b", calibrations={"a": UNIT, "b": UNIT}, threshold=0.0)
    scores = description.scores({"a": [0.5, 0.5], "b": [-1.0, 1.0]})
    assert scores.tolist() == [1.0, -2.0]
    assert description.with_half(scores).tolist() == [True, False]


def test_the_phrase_is_kept_in_its_canonical_form() -> None:
    assert made(phrase="  on   water ").phrase == "on water"


@pytest.mark.parametrize(
    "changes", [{}, {"phrase": "a OR b", "calibrations": {"a": UNIT, "b": UNIT}, "note": "café"}]
)
def test_a_description_survives_json(changes: dict[str, object]) -> None:
    description = made(**changes)
    written = json.loads(json.dumps(description.to_dict()))
    assert written["schema_version"] == 1
    assert Description.from_dict(written) == description


def test_the_run_is_written_once_it_is_recorded_and_read_where_it_is() -> None:
    assert "run" not in made().to_dict()
    recorded = made(run="0123abcd")
    assert recorded.to_dict()["run"] == "0123abcd"
    assert Description.from_dict(recorded.to_dict()) == recorded
    assert Description.from_dict(made().to_dict()).run == ""


def test_an_old_description_without_a_note_is_read() -> None:
    written = made().to_dict()
    del written["note"]
    assert Description.from_dict(written) == made()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version is 2"),
        ({"treshold": 0.1}, "unknown key 'treshold'; nearest: threshold"),
        ({"threshold": "0.1"}, "threshold is '0.1'"),
        ({"wrong_is_above": "yes"}, "wrong_is_above is 'yes'"),
        ({"wrong_is_above": 1}, "wrong_is_above is 1"),
        ({"calibrations": []}, "calibrations is"),
        ({"calibrations": {"water": {"scale": 1.0}}}, "threshold and scale"),
        ({"phrase": 7}, "phrase is 7"),
    ],
)
def test_an_unfit_file_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Description.from_dict({**made().to_dict(), **change})


@pytest.mark.parametrize("name", [name for name in PLAIN if name != "note"])
def test_every_key_but_the_note_is_needed(name: str) -> None:
    written = made().to_dict()
    del written[name]
    with pytest.raises(InputError, match=f"{name} missing"):
        Description.from_dict(written)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_name": " "}, "class_name is ' '"),
        ({"template": "an image"}, "exactly one {} is legal"),
        ({"template": "{} and {}"}, "exactly one {} is legal"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"created_at": "yesterday"}, "ISO 8601"),
        ({"calibrations": {"water": UNIT}}, "calibrations are of"),
        ({"phrase": "NOT water"}, "calibrations are of"),
        ({"note": None}, "note is None"),
        ({"run": 7}, "run is 7"),
    ],
)
def test_an_unfit_description_cannot_be_made(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(**changes)


def test_a_phrase_that_cannot_be_understood_is_refused() -> None:
    with pytest.raises(PhraseError, match="Latin"):
        made(phrase="вода")


def test_scores_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(FeatureError, match="entry 1"):
        made().with_half([0.1, np.nan])


def test_a_description_cannot_be_changed_afterwards() -> None:
    given = {"a": UNIT}
    description = made(phrase="NOT a", calibrations=given)
    given["b"] = UNIT
    assert set(description.calibrations) == {"a"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        description.threshold = 0.5  # type: ignore[misc]
    assert len({description, made(), made()}) == 2
