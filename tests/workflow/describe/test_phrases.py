"""Which kept descriptions are taken, and who may take one back: by runs that are written out here."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace
from typing import Any

import pytest

from clarify.errors import NotFoundError
from clarify.track.runs import DescriptionRun
from clarify.workflow.describe.recording import kept_descriptions, take_back
from clarify.workflow.describe.tries import phrases_tried
from clarify.workflow.model.arrays import ClassNames
from clarify.workflow.model.models import Model
from tests.track.conftest import description

MODEL = Model(run_id="m" * 32, name="base", head=None)


def run(id: str, phrase: str, score: float, **own: Any) -> DescriptionRun:
    usual = {"class_name": "landbird", "kept": True, "by": "Ada", "parent": MODEL.run_id, "origin": id}
    return DescriptionRun(
        **{"id": id, "name": phrase, "phrase": phrase, "score": score, "started": 0, **usual, **own}
    )


class Store:
    """Lists some runs, newest first, and notes what is written on them."""

    def __init__(self, *runs: DescriptionRun) -> None:
        self.listed, self.written = runs, []  # type: ignore[var-annotated]

    def runs(self, data_set: str, kind: type[DescriptionRun]) -> list[DescriptionRun]:
        assert (data_set, kind) == ("birds", DescriptionRun)
        return list(self.listed)

    def artifact(self, run_id: str, path: str) -> bytes:
        (found,) = [each for each in self.listed if each.id == run_id]
        told = dataclasses.replace(description(found.phrase), class_name=found.class_name)
        return json.dumps(told.to_dict()).encode()

    def retag(self, run_id: str, tag: str, value: str) -> None:
        self.written.append((run_id, tag, value))


def project_with(*runs: DescriptionRun, reviewer: str = "Ada") -> Any:
    names = ClassNames(name="birds", classes=("landbird", "waterbird"))
    encoder = SimpleNamespace(identity=SimpleNamespace(digest="in use"))
    return SimpleNamespace(manifest=names, tracking=Store(*runs), reviewer=reviewer, encoder=encoder)


def taken(project: Any, *runs: str) -> list[tuple[str, str, str]]:
    found = kept_descriptions(project, MODEL, runs)
    return [(each.class_name, each.phrase, each.run) for each in found]


RUNS = (
    run("aa1", "beach", 0.30, class_name="waterbird"),
    run("aa2", "sea", 0.20),
    run("bb1", "water", 0.60),
    run("bb2", "lake", 0.50),
    run("cc1", "night", 0.90, kept=False),
    run("dd1", "river", 0.95, parent="another model"),
)


def test_of_each_class_the_kept_description_with_the_highest_score_is_taken() -> None:
    # Of landbird .20, .60 and .50 are kept; .90 was only tried, .95 is about another model.
    assert taken(project_with(*RUNS)) == [("landbird", "water", "bb1"), ("waterbird", "beach", "aa1")]
    assert taken(project_with(*reversed(RUNS))) == taken(project_with(*RUNS))


def test_one_by_the_encoder_in_use_goes_before_a_higher_score_by_another() -> None:
    own = run("new", "sea", 0.2, encoder="in use")
    assert taken(project_with(*RUNS, own)) == [("landbird", "sea", "new"), ("waterbird", "beach", "aa1")]


def test_of_equal_scores_the_newest_is_taken() -> None:
    assert taken(project_with(run("new", "sea", 0.5), run("old", "lake", 0.5))) == [
        ("landbird", "sea", "new")
    ]


def test_runs_that_are_named_are_taken_whatever_they_score_and_no_others() -> None:
    project = project_with(*RUNS)
    assert taken(project, "aa1", "aa2") == [("landbird", "sea", "aa2"), ("waterbird", "beach", "aa1")]
    for asked, message in (("aa", "2 kept"), ("cc1", "0 kept"), ("dd1", "0 kept")):
        with pytest.raises(NotFoundError, match=f"{message} descriptions of model m.* begin '{asked}'"):
            taken(project, asked)


def test_a_description_goes_by_the_first_id_that_it_had() -> None:
    assert taken(project_with(run("here", "sea", 0.5, origin="there"))) == [("landbird", "sea", "there")]


def test_a_description_is_taken_back_by_who_kept_it_and_by_nobody_else() -> None:
    runs = (run("aa", "sea", 0.2, by="Ada"), run("bb", "lake", 0.5, by="Bo"))
    for who, asked in (("Ada", "bb"), ("Bo", "aa"), ("Cy", "aa"), ("Ada", "none"), ("Ada", "")):
        project = project_with(*runs, reviewer=who)
        with pytest.raises(NotFoundError, match=f"no description {asked} by {who}; only who kept one"):
            take_back(project, asked)
        assert project.tracking.written == []
    project = project_with(*runs, reviewer="Bo")
    take_back(project, "bb")
    assert project.tracking.written == [("bb", "kept", "false")]


def test_phrases_that_were_tried_are_counted_by_class_and_model_kept_or_not() -> None:
    assert phrases_tried(project_with(*RUNS), MODEL, "landbird") == {"sea", "water", "lake", "night"}
    assert phrases_tried(project_with(*RUNS), MODEL, "waterbird") == {"beach"}
