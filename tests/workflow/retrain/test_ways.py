"""Other ways to correct, by the command: erasure, refit, and what chooses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.method.phrases.similarity import similarities
from clarify.track.mlflow import TrackingStore
from clarify.track.runs import ModelRun
from clarify.workflow.describe.recording import kept_descriptions
from clarify.workflow.model.models import open_model
from clarify.workflow.model.project import split_data
from clarify.workflow.model.recipe import Recipe
from clarify.workflow.retrain.concepts import concepts_of
from tests.conftest import DATA_SET, Done, copied, run_clarify

Clarify = Callable[..., Done]


@pytest.mark.parametrize(
    "ways",
    [
        ("--erase", "mean_difference", "--objective", "erm"),
        ("--erase", "regression", "--opposite", "landbird=land"),
        ("--erase", "regression_unlabelled"),
        ("--erase", "leace", "--refit"),
        ("--erase", "text", "--objective", "erm"),
    ],
)
def test_what_was_erased_is_recorded_and_changes_the_head(
    clarify: Clarify, home: Path, ways: tuple[str, ...]
) -> None:
    plain = clarify("retrain", DATA_SET, "--json").result
    found = clarify("retrain", DATA_SET, *ways, "--json").result
    assert (found["erase"], plain["erase"]) == (ways[1], "none")
    assert f"{ways[1]} erased" in found["name"]
    store = TrackingStore(home)
    heads = [store.artifact(each["run"], "head.safetensors") for each in (plain, found)]
    assert heads[0] != heads[1]


def test_after_a_refit_the_record_of_validation_is_by_heads_that_did_not_see_it(
    clarify: Clarify, home: Path
) -> None:
    found = clarify("retrain", DATA_SET, "--refit", "--json").result
    assert found["refit"] == "true"
    images = sorted((home / "images" / DATA_SET / "validation").glob("*.png"))
    told = clarify("predict", DATA_SET, *map(str, images), "--model", found["run"], "--json").result
    table = pl.read_parquet(TrackingStore(home).artifact(found["run"], "predictions.parquet"))
    recorded = table.filter(pl.col("split") == "validation")["probability_of_predicted"].to_list()
    seen = [max(each["landbird"], each["waterbird"]) for each in told["images"]]
    assert sorted(recorded) != pytest.approx(sorted(seen), abs=1e-6)
    assert clarify("compare", DATA_SET, "--json").status == 0


def test_a_retraining_in_which_the_phrases_do_not_count_says_that_nothing_is_corrected_by_them(
    clarify: Clarify,
) -> None:
    told = "note: not corrected: landbird, waterbird; without the phrases the same judged images are right"
    assert told in clarify("retrain", DATA_SET, "--objective", "erm", "--refit").out.splitlines()
    assert "but not corrected: landbird, waterbird" in clarify("gate", DATA_SET).out
    assert "not corrected" not in clarify("retrain", DATA_SET).out


def test_choosing_by_true_groups_makes_an_oracle_that_cannot_be_promoted(
    clarify: Clarify, home: Path
) -> None:
    found = clarify("retrain", DATA_SET, "--select", "annotated_worst_group", "--json").result
    assert found["oracle"]
    assert found["selection"] == "annotated_worst_group"
    assert "oracle" in clarify("promote", DATA_SET, found["run"]).refusal
    by_class = clarify("retrain", DATA_SET, "--select", "worst_class", "--json").result
    assert (by_class["selection"], by_class["oracle"]) == ("worst_class", False)


@pytest.mark.parametrize(
    ("ways", "message"),
    [
        (("--objective", "erm"), "the base model again; erase something"),
        (("--erase", "regresion"), "nearest: regression"),
        (("--select", "worst"), "select 'worst' is unknown"),
        (("--opposite", "landbird=land"), "opposites are for a regression, erase is 'none'"),
        (("--erase", "regression", "--opposite", "landbird"), "CLASS=PHRASE is legal"),
        (("--erase", "regression", "--opposite", "landbird=water"), "another phrase without AND"),
        (("--erase", "regression", "--opposite", "crow=land"), "opposite for class 'crow'"),
        (("--whole", "--refit"), "erase, refit and select are for the last layer"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    clarify: Clarify, home: Path, ways: tuple[str, ...], message: str
) -> None:
    before = len(TrackingStore(home).runs(DATA_SET, ModelRun))
    assert message in clarify("retrain", DATA_SET, *ways).refusal
    assert len(TrackingStore(home).runs(DATA_SET, ModelRun)) == before


def test_the_text_of_a_phrase_is_not_in_the_features_of_a_network(network_home: Path) -> None:
    done = run_clarify("retrain", DATA_SET, "--erase", "text", home=network_home)
    assert "whose features hold no phrases of" in done.refusal
    assert "choose mean_difference or regression" in done.refusal


def test_what_a_phrase_describes_is_erased_from_a_networks_own_features(
    network_home: Path, tmp_path: Path
) -> None:
    home = copied(network_home, tmp_path / "home")
    found = run_clarify(
        "retrain", DATA_SET, "--erase", "mean_difference", "--objective", "erm", "--json", home=home
    )
    assert found.status == 0, found.err
    assert (found.result["part"], found.result["erase"]) == ("head", "mean_difference")
    assert found.result["backbone_in"] == "parent"


def test_an_opposite_is_taken_off_the_similarity_of_its_class_alone(home: Path) -> None:
    project = open_project(Settings(home=home), DATA_SET)
    base = open_model(project)
    told = kept_descriptions(project, base, [])
    data = split_data(project, "validation")
    plain = concepts_of(project, told, data, Recipe(erase="regression"))
    with_opposite = Recipe(erase="regression", opposites={"landbird": "land"})
    against = concepts_of(project, told, data, with_opposite)
    land = similarities(data.embeddings, project.encoder.encode_phrases(["land"])[0])
    for one, two in zip(plain, against, strict=True):
        taken = land if one.name.startswith("landbird") else 0.0
        np.testing.assert_allclose(two.similarity, one.similarity - taken, atol=1e-6)
        np.testing.assert_array_equal(two.rows, one.rows)
    everyone = concepts_of(project, told, data, Recipe(erase="regression_unlabelled"))
    assert all(each.rows.all() for each in everyone)
    assert not plain[0].rows.all()
