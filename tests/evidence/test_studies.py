"""The studies: what each changes is what it says, on the tiny birds or made-up features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.errors import NotFoundError
from clarify.evidence import labels as labelling
from clarify.evidence import reviewers, studies
from clarify.evidence.situation import Situation
from clarify.evidence.suites import situation_of, study
from clarify.evidence.tables import study_markdown
from clarify.workflow.describe.suggest import suggest
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import Workspace
from clarify.workflow.retrain.gains import POOL, ranked
from tests.conftest import DATA_SET

PHRASES = {"landbird": "water", "waterbird": "land"}
WORDS = [
    "water",
    "lake",
    "ocean",
    "land",
    "forest",
    "field",
    "red",
    "blue",
    "night",
    "snow",
    "duck",
    "rain",
    "fog",
    "cartoon",
]


@pytest.fixture
def project(made_home: Path) -> Workspace:
    return open_project(Settings(home=made_home), DATA_SET)


@pytest.fixture
def at(project: Workspace) -> Situation:
    return situation_of(project, PHRASES)


def test_more_wrong_images_and_a_moved_threshold_give_other_groups(at: Situation) -> None:
    rows = studies.thresholds([at], ())
    assert [row["way"] for row in rows][3] == "+0 deviations"
    assert rows[3]["refused"] == 0
    assert len(studies.wrong_images([at], ())) == 6


def test_the_scan_is_the_exact_score_but_for_its_steps(at: Situation) -> None:
    exact, scanned = studies.scan([at], ())
    difference = exact["worst_group"]["mean"] - scanned["worst_group"]["mean"]
    assert abs(difference) < 0.1
    assert exact["error_score"] == scanned["error_score"]


def test_one_class_compound_and_prompt_are_rows(at: Situation) -> None:
    assert [row["way"] for row in studies.one_class([at], ())][-1] == "all of them"
    assert len(studies.compound([at], ())) == 4
    assert len(studies.templates([at], ())) == 4
    assert len(studies.objectives([at], ())) == 6


def test_describing_all_of_ten_made_up_classes_lifts_the_worst_group() -> None:
    made = studies.many_classes(10)
    assert made.train.truth.counts.sum() == 8000
    none, everyone = (
        studies._over_seeds([made], {"x": lambda seen: seen}, method)[0]
        for method in ("erm", studies.CLARIFY)
    )
    assert everyone["worst_group"]["mean"] > none["worst_group"]["mean"] + 0.1


def test_searches_for_odd_images_are_believed_less_after_correction(at: Situation) -> None:
    rows = studies.outliers([at], WORDS)
    assert rows[0]["odd images"] == studies.ODD
    for row in rows:
        assert row["p corrected"] <= row["p"]
        assert row["and held-out"] <= row["p corrected"]


def test_phrases_are_drawn_near_beside_and_far_by_meaning(at: Situation) -> None:
    ordered = reviewers._by_distance(at, WORDS)
    assert set(ordered["landbird"][:3]) & {"lake", "ocean"}
    assert "water" not in ordered["landbird"]


def test_the_truth_is_let_through_and_lifts_the_worst_group(at: Situation) -> None:
    found = reviewers.tried(at, PHRASES)
    assert found is not None
    assert found.passed
    assert found.worst_group > found.base_worst_group + 0.2
    assert found.score > 0.2


def test_reviewers_agree_by_what_their_phrases_split(at: Situation) -> None:
    said = ["water", "ocean", "land", "red"]
    same = reviewers._same_split(at, "landbird", said)
    assert same[0, 2] > 0.7  # what is on water is not on land
    assert same[0, 2] > same[0, 3]
    crowd = [{"landbird": phrase, "waterbird": "land"} for phrase in said]
    assert reviewers._medoid(at, crowd, reviewers._same_split)["landbird"] != "red"


def test_a_person_chooses_among_what_the_machine_suggests(
    at: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, str]] = []
    monkeypatch.setattr(reviewers, "PER_BAND", 1)
    monkeypatch.setattr(reviewers, "_said", lambda *_: [{"landbird": "ocean", "waterbird": "forest"}])
    listed = {"landbird": ["red", "lake"], "waterbird": ["field", "blue"]}
    monkeypatch.setattr(reviewers, "_suggested", lambda _: listed)
    monkeypatch.setattr(reviewers, "tried", lambda _, phrases: asked.append(phrases))
    assert [row["who speaks"] for row in reviewers.oversight([at], WORDS)][1] == "the machine's first"
    assert asked[1:] == [
        {"landbird": "red", "waterbird": "field"},
        {"landbird": "lake", "waterbird": "field"},
    ]


def test_the_machines_phrases_are_the_products_suggestions(home: Path) -> None:
    project = open_project(Settings(home=home), DATA_SET)
    at = situation_of(project, PHRASES)
    model = Model(run_id="evidence", name="base", head=at.base)
    found = suggest(project, model, at.validation, "landbird", most=POOL)
    expected = ranked(project, at.failures, at.train, found, most=reviewers.MOST).items
    assert reviewers._suggested(at)["landbird"] == [each.phrase for each in expected]


def test_enough_labels_make_the_true_groups_and_too_few_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [studies.many_classes(2, seed=seed) for seed in range(2)]
    monkeypatch.setattr(labelling, "COUNTS", (1, 400))
    rows = {(row["validation"], row["told"]): row for row in labelling.labels(made, ())}
    assert len(rows) == 2 * 5
    for kind in ("balanced", "ordinary"):
        assert rows[kind, "1 labels, spread"]["refused"] == 2
        assert rows[kind, "1 labels, DFR"]["worst group"] is None
    by_words, by_labels = (
        rows["balanced", name]["worst group"]["mean"] for name in ("a sentence a class", "400 labels, spread")
    )
    assert by_labels == pytest.approx(by_words, abs=0.03)


def test_unrelated_phrases_do_not_tell_the_place(at: Situation) -> None:
    unrelated = reviewers.unrelated(at, WORDS)
    assert unrelated
    assert not {"water", "land", "ocean", "forest"} & set(unrelated)
    place = at.validation.truth.index % 2
    for phrase in unrelated:
        similarity = at.similarity(phrase, at.validation)
        one, other = similarity[place == 0], similarity[place == 1]
        auc = (one[:, None] > other).mean() + 0.5 * (one[:, None] == other).mean()
        assert abs(auc - 0.5) < reviewers.UNRELATED + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("name", list(studies.STUDIES))
def test_every_study_is_a_table(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = open_project(Settings(home=home), DATA_SET)
    monkeypatch.setattr(reviewers, "DRAWS", 3)
    monkeypatch.setattr(reviewers, "PER_BAND", 2)
    monkeypatch.setattr(studies, "DRAWS", 3)
    monkeypatch.setattr(studies, "CLASS_COUNTS", (2, 10))
    found = study(name, [situation_of(project, PHRASES)])
    assert found["question"].endswith("?")
    text = study_markdown(found["rows"])
    assert text.count("\n") == len(found["rows"]) + 1
    assert np.isfinite(found["seeds"])


def test_an_unknown_study_is_refused_with_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="nearest: threshold"):
        study("treshold", [])
