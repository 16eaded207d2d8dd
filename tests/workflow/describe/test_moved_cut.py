"""A cut that a person moved goes into the record with its own score, beside that of the best one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.track.runs import DescriptionRun
from tests.conftest import DATA_SET, Done


def test_both_scores_are_recorded_and_the_list_has_that_of_the_cut(
    home: Path, clarify: Callable[..., Done]
) -> None:
    best = clarify("score", DATA_SET, "waterbird", "grass", "--json").result
    moved = str(best["threshold"] + 0.02 * (1 if best["evidence"]["wrong_is_above"] else -1))
    told = clarify("describe", DATA_SET, "waterbird", "grass", "--threshold", moved, "--json").result
    assert told["error_score"] < best["error_score"] == told["best_score"]
    assert told["evidence"]["threshold"] == told["threshold"] == pytest.approx(float(moved))
    said = clarify("score", DATA_SET, "waterbird", "grass", "--threshold", moved).out
    assert "by a cut of your own; the best one scores" in said
    tracking = open_project(Settings(home=home, reviewer="Ada"), DATA_SET).tracking
    run = next(each for each in tracking.runs(DATA_SET, DescriptionRun) if each.id == told["run"])
    assert run.score == pytest.approx(told["error_score"])
    seen = json.loads(tracking.artifact(run.id, "evidence.json"))
    assert seen["value"] == pytest.approx(told["error_score"])
    assert "p_corrected" not in seen  # later tries change it
    with_it = told["with_phrase"]
    assert with_it["count"] != best["with_phrase"]["count"]


def test_the_same_phrase_is_kept_once_and_another_cut_takes_its_place(
    home: Path, clarify: Callable[..., Done]
) -> None:
    def keep(*options: str) -> str:
        return str(clarify("describe", DATA_SET, "waterbird", "grass", *options, "--json").result["run"])

    first = keep("--note", "on the shore")
    assert keep() == keep("--note", "on the shore") == first
    best = clarify("score", DATA_SET, "waterbird", "grass", "--json").result
    moved = best["threshold"] + 0.02 * (1 if best["evidence"]["wrong_is_above"] else -1)
    second = keep("--threshold", str(moved))
    tracking = open_project(Settings(home=home, reviewer="Ada"), DATA_SET).tracking
    (run,) = [
        each for each in tracking.runs(DATA_SET, DescriptionRun) if each.phrase == "grass" and each.kept
    ]
    assert (run.id, run.threshold, run.note) == (second, pytest.approx(moved), "on the shore")
    other = keep("--reviewer", "Grace")
    assert other != second  # what two people say is two descriptions
