"""The tutorial's lesson: sprites that a model gets wrong by their colour."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.errors import PhraseError
from clarify.workflow.describe.grouping import groups_by_descriptions
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.retrain.heads import correct_head
from clarify.workflow.shows.tutorial import PHRASE, Lesson, corrected, practise, prepare_tutorial


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    return prepared(tmp_path_factory.mktemp("lesson"), [])


def prepared(home: Path, said: list[str]) -> Lesson:
    settings = Settings(home=home)
    return prepare_tutorial(home, functools.partial(open_project, settings), workers=1, say=said.append)


def test_the_squares_that_are_missed_are_red(lesson: Lesson) -> None:
    failures = lesson.failures
    squares = failures.data.labels == 0
    red = failures.data.attributes["colour"] == "red"
    assert failures.right[squares & ~red].mean() > 0.95
    assert 0.3 < failures.right[squares & red].mean() < 0.6


def test_saying_red_explains_them_and_saying_big_does_not(lesson: Lesson) -> None:
    assert practise(lesson, PHRASE).evidence.score.value > 0.6
    assert practise(lesson, "big").evidence.score.value < 0.4


def test_retraining_with_red_halves_what_is_missed_among_the_red_squares(lesson: Lesson) -> None:
    tried = practise(lesson, PHRASE)
    now = corrected(lesson, tried)
    worse = tried.rows[tried.with_half]
    assert (~now.right[worse]).sum() < (~lesson.failures.right[worse]).sum() / 2
    assert now.right.mean() > lesson.failures.right.mean() + 0.1


def test_the_correction_is_a_retraining_by_the_default_recipe(lesson: Lesson) -> None:
    told, data = practise(lesson, PHRASE).description, lesson.failures.data
    splits = {"train": lesson.train, "validation": data}
    groups = groups_by_descriptions(lesson.project, [told], splits)
    fit = correct_head(lesson.project, splits, groups, Recipe(), descriptions=[told])
    found = corrected(lesson, practise(lesson, PHRASE))
    assert found.predicted.tolist() == fit.fit.head.predict(data.features).tolist()
    assert found.model is lesson.failures.model
    other = correct_head(lesson.project, splits, groups, Recipe(objective="cvar"), descriptions=[told])
    assert found.predicted.tolist() != other.predicted.tolist()


def test_a_phrase_that_is_not_legal_is_refused(lesson: Lesson) -> None:
    with pytest.raises(PhraseError):
        practise(lesson, "red and (blue")


def test_it_records_nothing_and_is_ready_at_once_the_second_time(tmp_path: Path) -> None:
    first: list[str] = []
    once = prepared(tmp_path, first)
    assert {path.name for path in tmp_path.iterdir()} == {"data_manifests", "features", "images"}
    again: list[str] = []
    twice = prepared(tmp_path, again)
    assert any("images looked at" in each for each in first)
    assert not any("images looked at" in each for each in again)
    assert (once.failures.predicted == twice.failures.predicted).all()
    assert dataclasses.replace(once.failures).model.run_id == "tutorial"
