"""What the Describe page says of phrases: whose, how many were tried, and the right way round."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from clarify.track.runs import DescriptionRun
from clarify.ui.describe import cuts, phrases
from clarify.ui.describe.phrases import own_kept, phrases_of, suggestions, tried_now, wants_suggestions
from clarify.workflow.model.arrays import CallableEncoder, ClassNames, split_of
from clarify.workflow.model.failures import Failures
from clarify.workflow.model.models import Model

CLASS, MODEL = "landbird", "m" * 32
WORDS = {"water": [1.0, 0.0], "sea": [1.0, 0.0], "land": [0.0, 1.0]}
ENCODER = CallableEncoder(encode=lambda asked: [WORDS.get(each, [0.6, 0.8]) for each in asked])


def run(phrase: str, score: float = 0.5, **own: Any) -> DescriptionRun:
    usual = {"class_name": CLASS, "kept": False, "by": "Ada", "parent": MODEL, "started": 0, "name": ""}
    usual["encoder"] = ENCODER.identity.digest
    return DescriptionRun(
        **{"id": phrase, "origin": phrase, "phrase": phrase, "score": score, **usual, **own}
    )


class Desk:
    """A desk with some runs; what is to be done later is noted and not done."""

    def __init__(self, *runs: DescriptionRun) -> None:
        self.listed, self.waiting = list(runs), []  # type: ignore[var-annotated]
        self.found: Any = None

    def runs(self, of: type[DescriptionRun]) -> list[DescriptionRun]:
        return self.listed

    def later(self, work: Callable[[], object]) -> None:
        self.waiting.append(work)

    def suggestions(self, failures: Failures, class_name: str) -> Any:
        return self.found


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for module in (phrases, cuts):
        monkeypatch.setattr(module, "st", SimpleNamespace(session_state={}))
    names = ClassNames(name="birds", classes=(CLASS, "waterbird"))
    project = SimpleNamespace(manifest=names, encoder=ENCODER, reviewer="Ada", home=tmp_path, caution="")
    return SimpleNamespace(project=project, desk=Desk(), visitor=SimpleNamespace(name="Ada"))


@pytest.fixture
def failures() -> Failures:
    """Of four landbirds and as many waterbirds two each are wrong: those that look like water."""
    looks = np.array([[1, 0], [1, 0], [0, 1], [0, 1]] * 2, dtype=np.float32)
    labels = np.repeat([0, 1], 4)
    wrong = np.array([1, 1, 0, 0] * 2)
    data = split_of("validation", looks, labels)
    return Failures(
        model=Model(run_id=MODEL, name="base", head=None), data=data, predicted=np.abs(labels - wrong)
    )


def tries(page: Any, failures: Failures, text: str, class_name: str = CLASS) -> int:
    tried = tried_now(page, failures, class_name, text)
    assert tried is not None
    return tried.evidence.n_tried


def searched(home: Path, counts: dict[str, dict[str, int]]) -> None:
    place = home / "mlruns" / "searched" / f"{MODEL}.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"schema_version": 1, "searched": counts}))


def test_what_this_session_tried_counts_though_nothing_of_it_is_recorded_yet(
    page: Any, failures: Failures
) -> None:
    assert [tries(page, failures, text) for text in ("water", "land", "sea")] == [1, 2, 3]
    assert page.desk.listed == []
    assert len(page.desk.waiting) == 3  # each is to be recorded
    assert tries(page, failures, "land") == 3  # looked at again, it is one of three
    assert len(page.desk.waiting) == 3
    assert tries(page, failures, "water", "waterbird") == 1  # another class has had no try


def test_recorded_phrases_of_the_class_and_the_model_count_once(page: Any, failures: Failures) -> None:
    page.desk.listed = [
        run("snow"),
        run("snow", by="Bo"),
        run("night", kept=True),
        run("rain", class_name="waterbird"),
        run("fog", parent="another model"),
    ]
    assert tries(page, failures, "water") == 3  # snow, night, water
    page.desk.listed.append(run("water"))  # recorded by now
    assert tries(page, failures, "land") == 4  # and land
    assert tries(page, failures, "night") == 4  # was counted before it was typed


def test_what_the_machine_searched_on_the_class_counts(page: Any, failures: Failures) -> None:
    searched(page.project.home, {CLASS: {"one": 100, "two": 20}, "waterbird": {"one": 7}})
    assert tries(page, failures, "water") == 121
    assert tries(page, failures, "land") == 122
    assert tries(page, failures, "water", "waterbird") == 8


def test_a_phrase_in_the_list_is_told_once_best_first_and_by_who_kept_it(
    page: Any, failures: Failures
) -> None:
    assert tries(page, failures, "water") == 1  # score 1: both wrong ones, none of the right ones
    page.visitor.name = "Cy"
    page.desk.listed = [
        run("snow", 0.2, by="Ada"),
        run("snow", 0.2, by="Bo", kept=True),
        run("night", 0.4, by="Bo"),
        run("rain", 0.9, class_name="waterbird"),
    ]
    told = [(each.phrase, each.by, each.score, each.kept) for each in phrases_of(page, failures, CLASS)]
    assert told == [("water", "Cy", 1.0, False), ("night", "Bo", 0.4, False), ("snow", "Bo", 0.2, True)]


def test_a_visitor_finds_what_they_kept_themselves_and_of_nobody_else(page: Any, failures: Failures) -> None:
    tried = tried_now(page, failures, CLASS, "water")
    assert tried is not None
    page.desk.listed = [run("water", by="Bo", kept=True), run("water", by="Ada"), run("sea", kept=True)]
    assert own_kept(page, failures, tried) is None
    page.desk.listed.append(run("water", id="mine", kept=True))
    found = own_kept(page, failures, tried)
    assert found is not None
    assert found.id == "mine"


def test_the_machine_waits_for_a_try_of_ones_own_on_the_class(page: Any, failures: Failures) -> None:
    page.desk.listed = [run("snow", by="Bo"), run("snow", class_name="waterbird")]
    assert not wants_suggestions(page, failures, CLASS)
    tries(page, failures, "water", "waterbird")
    assert not wants_suggestions(page, failures, CLASS)
    tries(page, failures, "water")
    assert wants_suggestions(page, failures, CLASS)
    page.desk.listed.append(run("snow"))
    phrases.st.session_state.clear()
    assert wants_suggestions(page, failures, CLASS)


def suggested(phrase: str, gain: float, *, copies: bool = False, confirmed: bool = True) -> Any:
    return SimpleNamespace(
        said=phrase,
        gain=SimpleNamespace(classes=gain),
        copies=copies,
        evidence=SimpleNamespace(confirmed=confirmed),
    )


def test_the_machines_confirmed_phrases_are_shown_with_what_they_gain(page: Any, failures: Failures) -> None:
    items = (
        suggested("NOT land", 0.081),
        suggested("snow", 0.07, confirmed=False),
        suggested("water", -0.02),
        suggested("swan", 0.5, copies=True),
    )
    page.desk.found = SimpleNamespace(items=items)
    assert suggestions(page, failures, CLASS) == [("NOT land", "+8.1"), ("water", "-2.0")]
