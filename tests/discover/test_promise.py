from __future__ import annotations

import numpy as np
import pytest

from clarify.discover import promise as module
from clarify.discover.halves import ImagesOfClass
from clarify.discover.promise import promise
from clarify.method.phrases.error_score import FEW_WRONG
from tests.discover.planted import noise_class, phrase_embeddings, planted_class

PHRASES = phrase_embeddings(600)


def test_classes_with_a_planted_failure_come_first() -> None:
    rng = np.random.default_rng(0)
    planted = np.arange(60) % 6 == 0
    classes = [
        planted_class(PHRASES[17 * number % 600], count=80, seed=number)
        if is_planted
        else noise_class(80, rng.uniform(0.4, 0.9), number)
        for number, is_planted in enumerate(planted)
    ]
    found = promise(PHRASES, classes)
    order = np.argsort([-each.promise for each in found])
    assert planted[order[:10]].mean() >= 0.8
    luck = [each.held_out for each, is_planted in zip(found, planted, strict=True) if not is_planted]
    assert abs(np.mean(np.array(luck, dtype=float))) < 0.05


def test_the_promise_is_the_formula_and_lies_between_0_and_1() -> None:
    for number in range(12):
        (each,) = promise(PHRASES, [noise_class(50, 0.7, number)])
        assert each.held_out is not None
        assert each.room is not None
        share = each.n_wrong / (each.n_wrong + FEW_WRONG)
        expected = share * max(0.0, each.held_out) * max(0.0, each.room)
        assert each.promise == pytest.approx(expected)
        assert 0 <= each.promise <= 1


def test_more_wrong_images_of_the_same_kind_promise_more() -> None:
    few = promise(PHRASES, [planted_class(PHRASES[0], count=40)])[0]
    many = promise(PHRASES, [planted_class(PHRASES[0], count=400)])[0]
    assert many.promise > few.promise > 0


def test_a_class_without_a_pair_of_wrong_images_promises_nothing() -> None:
    embeddings = planted_class(PHRASES[0], count=30).embeddings
    for wrong in (0, 1, 30):
        right = np.arange(30) >= wrong
        (each,) = promise(PHRASES, [ImagesOfClass(embeddings=embeddings, right=right)])
        assert (each.promise, each.held_out, each.room) == (0.0, None, None)
        assert each.n_wrong == wrong


def test_it_is_the_same_for_the_same_seed_and_alone_or_among_others() -> None:
    classes = [planted_class(PHRASES[5 * number], count=60, seed=number) for number in range(4)]
    together = promise(PHRASES, classes)
    assert together == promise(PHRASES, classes)
    assert together[2] == promise(PHRASES, classes[2:3])[0]


def test_of_a_very_large_class_a_drawn_part_tells_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    images = planted_class(PHRASES[0], count=1_200)
    whole = promise(PHRASES, [images])[0]
    monkeypatch.setattr(module, "MOST_IMAGES", 600)
    drawn = promise(PHRASES, [images])[0]
    assert drawn != whole
    assert drawn.promise == pytest.approx(whole.promise, abs=0.1)
    assert drawn.n_wrong == whole.n_wrong


def test_progress_tells_how_many_classes_are_done() -> None:
    told: list[int] = []
    promise(PHRASES, [noise_class(30, 0.7, 0)] * 3, progress=told.append)
    assert told == [1, 2, 3]
