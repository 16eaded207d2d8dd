"""Discovery compared: figures by hand, and what is planted is found and undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clarify.discover.slices.interface import ImageSlice
from clarify.discover.suggest import Gain
from clarify.errors import NotFoundError
from clarify.evidence import discovery
from clarify.evidence.discovery import (
    CONTROL,
    NOTHING,
    ORACLE,
    PEOPLE,
    compare_discovery,
    precision_at,
    true_slices,
)
from clarify.evidence.planted import PLANTED, planted_slices
from clarify.evidence.situation import truth_of
from clarify.evidence.tables import study_markdown
from tests.conftest import DATA_SET, Done


def test_precision_at_k_is_counted_by_hand_and_equal_scores_are_no_luck() -> None:
    true = np.array([True, False, True, False, False, True])
    assert precision_at(np.array([6.0, 5, 4, 3, 2, 1]), true, 3) == pytest.approx(2 / 3)
    assert precision_at(np.array([1.0, 1, 1, 0, 0, 0]), true, 2) == pytest.approx(2 / 3)
    assert precision_at(np.zeros(6), true, 4) == pytest.approx(0.5)
    assert precision_at(np.zeros(6), true, 100) == pytest.approx(0.5)


@pytest.mark.parametrize("kind", PLANTED)
def test_the_model_fails_on_what_is_planted(kind: str) -> None:
    at, words = planted_slices(kind)
    assert words[0] == "b"
    slices = true_slices(at)
    assert sorted(slices) == [0, 1]
    value = truth_of(at.test).index % 2
    for label, mask in slices.items():
        (inside,) = np.unique(value[mask])
        # The correlated place of a class is the other one's; else the slice is "b".
        assert inside == (1 - label if kind == "correlated" else 1)


def test_every_draw_of_a_kind_stands_in_one_table() -> None:
    for kind in PLANTED:
        assert len({planted_slices(kind, seed=seed)[0].validated for seed in range(5)}) == 1


def test_seeds_are_other_data_and_the_same_seed_the_same() -> None:
    first, again, other = (planted_slices("rare", seed=seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first.train.features, again.train.features)
    assert not np.array_equal(first.train.features, other.train.features)
    with pytest.raises(NotFoundError, match="no planted slice is called 'rara'; nearest: rare"):
        planted_slices("rara")


def test_words_find_the_correlated_place_and_retraining_undoes_it() -> None:
    told: list[str] = []
    rows = compare_discovery(
        [planted_slices("correlated")], methods=["confusion-cells", "words-by-score", "b2t"], told=told.append
    )
    by_name = {row["method"]: row for row in rows}
    assert list(by_name) == [NOTHING, CONTROL, "confusion-cells", "words-by-score", "b2t", PEOPLE, ORACLE]
    assert told == list(by_name)
    words, people = by_name["words-by-score"], by_name[PEOPLE]
    assert words["AP"]["mean"] > 0.95
    assert words["AP"]["mean"] == pytest.approx(people["AP"]["mean"], abs=0.02)
    worst = {name: row["worst group, by slices"] for name, row in by_name.items()}
    assert words["worst group, by words"]["mean"] > worst[NOTHING]["mean"] + 0.3
    assert worst[ORACLE]["mean"] > worst[CONTROL]["mean"] + 0.2
    assert by_name["b2t"]["refused"] == 1
    assert "needs captions" in by_name["b2t"]["reasons"][0]
    assert study_markdown(rows).count("\n") == len(rows) + 1


def test_the_order_by_gain_is_not_the_order_by_score(monkeypatch: pytest.MonkeyPatch) -> None:
    at, _ = planted_slices("correlated")
    gains = iter([0.1, None, 0.3])
    found = [ImageSlice(name=name, score=lambda _: np.zeros(1), label=0) for name in "abc"]
    monkeypatch.setattr(discovery, "phrase_gain", lambda *_, **__: _gain(next(gains)))
    assert [each.name for each in discovery._by_gain(at, found)] == ["c", "a", "b"]


def _gain(classes: float | None) -> Gain | None:
    if classes is None:
        return None
    return Gain(classes=classes, average=0.0, half_before=0.0, half_after=0.0)


def test_an_unknown_method_is_refused_before_anything_is_done() -> None:
    with pytest.raises(NotFoundError, match="no discovery method is called 'barlov'; nearest: barlow"):
        compare_discovery([], methods=["barlov"])


def test_the_suite_runs_on_a_data_set_of_ones_own(clarify: Callable[..., Done]) -> None:
    asked = ("benchmark", "--suite", "discovery", "--data-set", DATA_SET, "--seeds", "1")
    phrases = ("--phrase", "landbird=water", "--phrase", "waterbird=land")
    found = clarify(*asked, *phrases, "--method", "confusion-cells", "--json").result
    rows = {(row["validation"], row["method"]): row for row in found["rows"]}
    kinds = {kind for kind, _ in rows}
    assert kinds == {"balanced", "ordinary"}
    assert len(rows) == 2 * 5
    balanced = rows["balanced", "confusion-cells"]
    assert balanced["AP"]["mean"] > balanced["chance"]["mean"] + 0.2
    assert Path(found["written"], f"{DATA_SET}.json").is_file()
    assert "--suite discovery takes --data-set NAME and --phrase" in clarify(*asked).refusal
    unknown = clarify(*asked, *phrases, "--method", "barlov").refusal
    assert unknown == "no discovery method is called 'barlov'; nearest: barlow"
